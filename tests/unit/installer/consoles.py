"""What installers say on a serial console. Written for these tests, in the way of logs that people published
of RHEL 7, 8 and 9, with tmux's drawing, systemd's colours and dracut's prefixes.
"""

EL7 = b"""\
[    0.000000] Linux version 3.10.0-1160.el7.x86_64 (builder) #1 SMP\r
[    0.000000] Command line: inst.stage2=hd:LABEL=RHEL-7.9 inst.ks=hd:LABEL=OEMDRV:/ks.cfg console=ttyS0\r
[    6.201000] dracut: dracut-033-572.el7\r
[   14.100000] dracut-initqueue[561]: mount: /dev/sr0 is write-protected, mounting read-only\r
[   20.000000] systemd[1]: Switching root.\r
Starting installer, one moment...\r
anaconda 21.48.22.159-1 for Red Hat Enterprise Linux 7.9 started.\r
 * installation log files are stored in /tmp during the installation\r
GOLDSMITH: begun\r
Generating updated storage configuration\r
Checking storage configuration...\r
Setting up the installation environment\r
.\r
Creating disklabel on /dev/vda\r
.\r
Creating xfs on /dev/vda2\r
.\r
Starting package installation process\r
Preparing transaction from installation source\r
Installing libgcc (1/3)\r
Installing kbd-misc.noarch (2/3)\r
Installing sudo.x86_64 (3/3)\r
Performing post-installation setup tasks\r
Installing boot loader\r
.\r
Performing post-installation setup tasks\r
.\r
\r
Configuring installed system\r
.\r
Generating initramfs\r
.\r
Running post-installation scripts\r
.GOLDSMITH: installed\r
GOLDSMITH: has WALinuxAgent\r
GOLDSMITH: warning not to be had from the medium or a repository: cloud-init\r
GOLDSMITH: configured\r
[  912.000000] Power down.\r
"""

EL8 = (
    b"[    0.000000] Linux version 4.18.0-305.el8.x86_64\r\n"
    b"[    9.1] systemd[1]: Reached target \x1b[0;1;39mInitrd Root Device\x1b[0m.\r\n"
    b"\x1b[0;32m  OK  \x1b[0m Stopped target \x1b[0;1;39mInitrd Default Target\x1b[0m.\r\n"
    b"[   30.4] systemd[1]: Switching root.\r\n"
    b"\x1b[?25l\x1b[H\x1b[J[anaconda]1:main* 2:shell  3:log  4:storage-log >Switch tab: Alt+Tab | Help: F1"
    b"\x1b[1;1HStarting installer, one moment...\x1b[2;1H"
    b"anaconda 33.16.4.15-1.el8 for Red Hat Enterprise Linux 8.4 started.\x1b[3;1H"
    b"GOLDSMITH: begun\r\n"
    b"\x1b[9;1HChecking software selection\x1b[K\x1b[10;1H"
    b"Setting up the installation environment\x1b[11;1HConfiguring storage\x1b[12;1H...\x1b[13;1H"
    b"Starting package installation process\x1b[14;1HDownloading packages\x1b[15;1H"
    b"Installing grub2-efi-x64.x86_64 (120/478)"
)

# No second stage: the medium is another one than the label says.
EMERGENCY = b"""\
[    0.000000] Linux version 5.14.0-362.el9.x86_64\r
[  201.1] dracut-initqueue[733]: Warning: dracut-initqueue timeout - starting timeout scripts\r
[  201.9] dracut-initqueue[733]: Warning: Could not boot.\r
         Starting \x1b[0;1;39mDracut Emergency Shell\x1b[0m...\r
Warning: /dev/root does not exist\r
\r
Generating "/run/initramfs/rdsosreport.txt"\r
\r
Entering emergency mode. Exit the shell to continue.\r
dracut:/# """

REFUSED = b"""\
Starting installer, one moment...\r
anaconda 33.16.4.15-1.el8 for Red Hat Enterprise Linux 8.4 started.\r
\r
An error occurred during reading the kickstart file:\r
The following problem occurred on line 12 of the kickstart file:\r
\r
Unknown command: partt\r
"""

STOPPED = b"""\
[   33.5] anaconda[2628]: Installing.\r
[   34.5] anaconda[2628]: The installation was stopped due to an error which occurred while running in \
non-interactive cmdline mode. Since there cannot be any questions in cmdline mode, edit your kickstart file \
and retry installation.\r
[   34.6] anaconda[2628]: The exact error message is:\r
[   34.7] anaconda[2628]: \r
[   34.8] anaconda[2628]: Non interactive installation failed: Failed to mount the source at /dev/sr0.\r
[   34.9] anaconda[2628]: The installer will now terminate.\r
GOLDSMITH: failed the installer stopped\r
"""

DEAD = b"""\
Starting automated install...\r
Traceback (most recent call last):\r
  File "/usr/sbin/anaconda", line 733, in <module>\r
RuntimeError: no such thing\r
\r
Pane is dead\r
"""
