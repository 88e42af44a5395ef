# First thing that Debian's installer does for us. Before this text stand the settings: console, marker.
echo "$marker begun" >"$console"
# The log says what happens, and why not, better than the questions do.
tail -n +1 -f /var/log/syslog >"$console" 2>&1 &
