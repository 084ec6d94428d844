# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for qconv: the program itself knows what may follow
_qconv ()
{
  local cur=${COMP_WORDS[COMP_CWORD]}

  [ "$cur" = "=" ] && cur=
  # A file name may hold blanks, a candidate never does
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(qconv complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$cur"))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
}
complete -o default -F _qconv qconv
