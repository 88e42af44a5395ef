# Lets Goldsmith into a Windows guest: its user, its key, its SSH host key. Read from the seed by Windows
# Setup (Unattend.xml, after sysprep) or by cloudbase-init (user-data). Written against the documentation;
# it has not met a real Windows yet. Python sets above this text:
#   $user $create $publicKey $hostKey $hostKeyPublic
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$port = $null
try { $port = New-Object System.IO.Ports.SerialPort 'COM1', 115200; $port.Open() } catch { $port = $null }
function Say([string] $line) { if ($port) { $port.Write("GOLDSMITH-SETUP $line`r`n") } }

function Write-Guarded([string] $path, [string] $text) {
  # sshd ignores a key that anybody but administrators and the system may read.
  [IO.File]::WriteAllText($path, $text)
  & icacls.exe $path /inheritance:r /grant '*S-1-5-32-544:F' /grant '*S-1-5-18:F' | Out-Null
}

try {
  if (-not (Get-Service -Name sshd -ErrorAction SilentlyContinue)) {
    throw 'OpenSSH Server is not installed in the image'
  }
  if ($create -and -not (Get-LocalUser -Name $user -ErrorAction SilentlyContinue)) {
    # Nobody needs to know it: the key opens the account.
    $bytes = New-Object byte[] 24
    $random = [Security.Cryptography.RandomNumberGenerator]::Create()
    $random.GetBytes($bytes)
    $secret = ConvertTo-SecureString -AsPlainText -Force -String ([Convert]::ToBase64String($bytes) + 'aA1!')
    New-LocalUser -Name $user -Password $secret -PasswordNeverExpires -Description 'Goldsmith' | Out-Null
    Add-LocalGroupMember -SID 'S-1-5-32-544' -Member $user
  }
  $folder = Join-Path $env:ProgramData 'ssh'
  New-Item -ItemType Directory -Force -Path $folder | Out-Null
  if ($publicKey) { Write-Guarded (Join-Path $folder 'administrators_authorized_keys') "$publicKey`n" }
  Write-Guarded (Join-Path $folder 'ssh_host_ed25519_key') $hostKey
  [IO.File]::WriteAllText((Join-Path $folder 'ssh_host_ed25519_key.pub'), "$hostKeyPublic`n")
  Set-Service -Name sshd -StartupType Automatic
  & netsh.exe advfirewall firewall add rule name=goldsmith-ssh dir=in action=allow protocol=TCP localport=22 | Out-Null
  # Windows Setup may run this before services can start: then the next boot starts it.
  try { Restart-Service -Name sshd -Force } catch { Say "sshd starts with the next boot: $_" }
  Say 'done'
} catch {
  Say "failed: $_"
} finally {
  if ($port) { $port.Close() }
}
exit 0
