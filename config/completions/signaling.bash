# Completion of signaling for bash. Made from the registry of options; do not edit it.
_signaling() {
  local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD-1]}
  # bash takes the = for a word of its own.
  if [[ $word == = ]]; then word=; elif [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  case $flag in
    --jwt-secret-file|--auth-key-file|--join-key-file|--ice-secret-file|--ice-endpoint-key-file|--redis-password-file|--call-log|--call-log-postgres-file|--call-log-key-file|--webhook-secret-file|--config-file|-c|--ca-file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")); return ;;
    --auth) COMPREPLY=($(compgen -W 'anonymous jwt callout' -- "$word")); return ;;
    --without) COMPREPLY=($(compgen -W 'native stream peerjs socket.io' -- "$word")); return ;;
  esac
  [[ $word == -* ]] || return
  COMPREPLY=($(compgen -W '
    --listen=
    --auth=
    --jwt-secret-file=
    --jwks-url=
    --jwt-issuer=
    --jwt-audience=
    --auth-url=
    --auth-key-file=
    --join-key-file=
    --allowed-origin=
    --room-size=
    --without=
    --peerjs-path=
    --peerjs-key=
    --peerjs-discovery
    --ice-url=
    --ice-secret-file=
    --ice-endpoint=
    --ice-endpoint-key-file=
    --redis-url=
    --redis-password-file=
    --node-name=
    --call-log=
    --call-log-postgres-file=
    --call-log-days=
    --call-log-key-file=
    --webhook-url=
    --webhook-secret-file=
    --config-file=
    --ca-file=
    --metrics-listen=
    --drain-timeout=
    --verbose
    --help
    --version
  ' -- "$word"))
  if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _signaling signaling
