# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for qconv: asks the program for the words that may follow
function __qconv_candidates
    set -l words (commandline -opc)
    set -e words[1]
    qconv complete $words 2>/dev/null
end
complete -c qconv -a '(__qconv_candidates)'
