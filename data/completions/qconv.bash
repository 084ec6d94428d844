# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for qconv: asks the program for the words that may follow
_qconv ()
{
  local cur=${COMP_WORDS[COMP_CWORD]}

  [ "$cur" = "=" ] && cur=
  # File names may hold blanks; words of the program never do
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(qconv complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$cur"))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
}
complete -o default -F _qconv qconv
