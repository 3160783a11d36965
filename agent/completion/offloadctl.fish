# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_offloadctl_global_optspecs
    string join \n bus= h/help V/version
end

function __fish_offloadctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_offloadctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_offloadctl_using_subcommand
    set -l cmd (__fish_offloadctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c offloadctl -n "__fish_offloadctl_needs_command" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_needs_command" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -s V -l version -d 'Print version'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "status" -d 'Where the device is between cellular and Wi-Fi; what failed last'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "watch" -d 'The same live, with traffic, signal and moves; q ends it'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "setup" -d 'Set the operator\'s portal, and ask it for a credential'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "renew" -d 'Ask the portal for a new credential now'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "join" -d 'Look for the operator\'s Wi-Fi now, and use it when it is good'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "leave" -d 'Go back to cellular, and stay there until told to join'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "policy" -d 'The operator\'s policy: networks, thresholds, renewal'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "log" -d 'The last moves between the links, with their reasons'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "doctor" -d 'Name the first broken link from the clock to the Internet by Wi-Fi'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "completion" -d 'Print the completion script of a shell'
complete -c offloadctl -n "__fish_offloadctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand status" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand status" -l json -d 'As one line of JSON, for programs'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand watch" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand watch" -l json -d 'One line of JSON for each change, for programs'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand watch" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand setup" -l ca -d 'PEM file with the certificate authorities of that portal' -r -F
complete -c offloadctl -n "__fish_offloadctl_using_subcommand setup" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand setup" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand renew" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand renew" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand join" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand join" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand leave" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand leave" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand policy" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand policy" -l json -d 'As one line of JSON, for programs'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand policy" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand log" -s n -l lines -d 'How many at most; the daemon keeps 200' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand log" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand log" -l json -d 'As one line of JSON, for programs'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand log" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand doctor" -l config -d 'Configuration' -r -F
complete -c offloadctl -n "__fish_offloadctl_using_subcommand doctor" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand doctor" -l json -d 'As one line of JSON, for programs'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand completion" -l bus -d 'D-Bus address in place of the system bus' -r
complete -c offloadctl -n "__fish_offloadctl_using_subcommand completion" -s h -l help -d 'Print help'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "status" -d 'Where the device is between cellular and Wi-Fi; what failed last'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "watch" -d 'The same live, with traffic, signal and moves; q ends it'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "setup" -d 'Set the operator\'s portal, and ask it for a credential'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "renew" -d 'Ask the portal for a new credential now'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "join" -d 'Look for the operator\'s Wi-Fi now, and use it when it is good'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "leave" -d 'Go back to cellular, and stay there until told to join'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "policy" -d 'The operator\'s policy: networks, thresholds, renewal'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "log" -d 'The last moves between the links, with their reasons'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "doctor" -d 'Name the first broken link from the clock to the Internet by Wi-Fi'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "completion" -d 'Print the completion script of a shell'
complete -c offloadctl -n "__fish_offloadctl_using_subcommand help; and not __fish_seen_subcommand_from status watch setup renew join leave policy log doctor completion help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
