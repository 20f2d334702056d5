# Completion of turnserver for bash. Made from the registry of options; do not edit it.
_turnserver() {
  local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD-1]}
  # bash takes the = for a word of its own.
  if [[ $word == = ]]; then word=; elif [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  case $flag in
    --oauth-keys-file|--static-auth-secret-file|--static-users-file|--http-api-key-file|--log-file|-l|--syslog-socket|--config-file|-c|--pidfile|--control-socket|--cert|--pkey|--key-copies|--CA-file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")); return ;;
    --allocation-default-address-family|-A) COMPREPLY=($(compgen -W 'ipv4 ipv6 keep' -- "$word")); return ;;
    --log-format) COMPREPLY=($(compgen -W '4.17 4.6 4.5 json' -- "$word")); return ;;
    --log-privacy) COMPREPLY=($(compgen -W 'full truncated hashed none' -- "$word")); return ;;
    --log-min-level) COMPREPLY=($(compgen -W 'debug info warning error' -- "$word")); return ;;
    --credential-expiry) COMPREPLY=($(compgen -W 'ignore refuse-refresh end-session' -- "$word")); return ;;
  esac
  [[ $word == -* ]] || return
  COMPREPLY=($(compgen -W '
    --listening-ip=
    --listening-port=
    --allowed-client-ip=
    --denied-client-ip=
    --no-udp
    --no-tcp
    --no-stun
    --stun-only
    --secure-stun
    --sock-buf-size=
    --tls-listening-port=
    --alt-listening-port=
    --alt-tls-listening-port=
    --tcp-proxy-port=
    --proxy-protocol-from=
    --aux-server=
    --no-tls
    --dtls
    --no-dtls
    --rfc5780
    --relay-ip=
    --external-ip=
    --min-port=
    --max-port=
    --allowed-peer-ip=
    --denied-peer-ip=
    --no-multicast-peers
    --allow-loopback-peers
    --allow-private-peers
    --nat64-prefix=
    --allocation-default-address-family=
    --keep-address-family
    --no-udp-relay
    --no-tcp-relay
    --mobility
    --multiplex-peer
    --multiplex-peer-port=
    --multiplex-peer-ports=
    --multiplex-peer-max-peers=
    --use-auth-secret
    --static-auth-secret=
    --rest-api-separator=
    --lt-cred-mech
    --user=
    --realm=
    --no-auth
    --stale-nonce=
    --user-quota=
    --total-quota=
    --max-allocate-lifetime=
    --channel-lifetime=
    --permission-lifetime=
    --max-bps=
    --bps-capacity=
    --max-allocate-timeout=
    --unauthorized-ratelimit
    --unauthorized-ratelimit-rps=
    --stateless-nonce-secret=
    --server-name=
    --oauth
    --oauth-keys-file=
    --static-auth-secret-file=
    --static-users-file=
    --http-listen=
    --https
    --http-api-key=
    --http-api-key-file=
    --http-advertise=
    --http-allowed-origin=
    --log-file=
    --no-stdout-log
    --new-log-timestamp
    --new-log-timestamp-format=
    --log-format=
    --log-privacy=
    --verbose
    --Verbose
    --log-min-level=
    --log-binding
    --syslog
    --syslog-facility=
    --syslog-socket=
    --config-file=
    --no-config-file
    --help
    --version
    --prepare-for=
    --relay-threads=
    --cpus=
    --pidfile=
    --control-socket=
    --drain-min-allocations=
    --drain-timeout=
    --fingerprint
    --software-attribute
    --stun-backward-compatibility
    --rfc3489-compatibility
    --include-reason-string
    --prometheus
    --prometheus-port=
    --prometheus-address=
    --prometheus-path=
    --quickstart
    --check-config
    --latency-budget=
    --unauth-reply-rate=
    --limit=
    --handshake-timeout=
    --credential-expiry=
    --cert=
    --pkey=
    --key-copies=
    --cipher-list=
    --CA-file=
    --ec-curve-name=
    --no-tlsv1_2
    --alternate-server=
    --tls-alternate-server=
    --tcp-alternate-server=
    --udp-alternate-server=
  ' -- "$word"))
  if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _turnserver turnserver
