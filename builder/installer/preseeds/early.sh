# First thing that Debian's installer does for us. Before this text stand the settings: console, marker.
echo "$marker begun" >"$console"
# The log says what happens, and why not, better than the questions do.
# Without the descriptors of debconf: it takes a step for unfinished as long as somebody holds one.
tail -n +1 -f /var/log/syslog </dev/null >"$console" 2>&1 3>&- 4>&- 5>&- 6>&- &
