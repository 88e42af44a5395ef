# Generalizes a Windows guest as a task of SYSTEM, reports on the second serial port, powers off.
# Written against the documentation; it has not met a real Windows yet. Python sets above this text:
#   $buildUser $removeUser $script $scriptLimit
$ProgressPreference = 'SilentlyContinue'
$port = $null
try { $port = New-Object System.IO.Ports.SerialPort 'COM2', 115200; $port.Open() } catch { $port = $null }
function Say([string] $line) { if ($port) { $port.Write($line + "`r`n") } }

# The client has left; what is left of the build user's sessions would keep the profile busy.
Start-Sleep -Seconds 2
quser $buildUser 2>$null | Select-Object -Skip 1 | ForEach-Object {
  if ($_ -match '\s(\d+)\s') { logoff $Matches[1] 2>$null }
}

# The user goes before sysprep does: what it leaves of an account is no longer there to be cleaned.
$failed = 0
try {
  if ($removeUser -and (Get-LocalUser -Name $buildUser -ErrorAction SilentlyContinue)) {
    $sid = (Get-LocalUser -Name $buildUser).SID.Value
    Remove-LocalUser -Name $buildUser -ErrorAction Stop
    Get-CimInstance Win32_UserProfile -Filter "SID='$sid'" | Remove-CimInstance
  }
} catch { $failed = 1; Say "GOLDSMITH-SCRUB failed: $_" }

$code = 127
if (Test-Path -LiteralPath $script) {
  Get-Content -LiteralPath $script | ForEach-Object { Say $_ }
  $log = "$env:SystemRoot\Temp\goldsmith-deprovision.log"
  $line = '/d /s /c "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "' + $script +
    '" > "' + $log + '" 2>&1"'
  $process = Start-Process -FilePath $env:ComSpec -ArgumentList $line -PassThru -WindowStyle Hidden
  if ($process.WaitForExit($scriptLimit * 1000)) {
    $code = $process.ExitCode
  } else {
    & taskkill.exe /t /f /pid $process.Id | Out-Null
    $code = 124
  }
  Get-Content -LiteralPath $log -ErrorAction SilentlyContinue | ForEach-Object { Say $_ }
  Remove-Item -Force -LiteralPath $log -ErrorAction SilentlyContinue
} else {
  Say ("Deprovisioning script [$script] could not be found. Image build may fail or the VM created from " +
    'the Image may not boot.')
}
Say "GOLDSMITH-DEPROVISION exit=$code"

# Our own scrub; an override of the script above never skips it.
try {
  Remove-Item -Force "$env:ProgramData\ssh\ssh_host_*" -ErrorAction SilentlyContinue
  Remove-Item -Force "$env:ProgramData\ssh\administrators_authorized_keys" -ErrorAction SilentlyContinue
  Remove-Item -Force -LiteralPath $script -ErrorAction SilentlyContinue
  Remove-Item -Force "$env:SystemRoot\Temp\goldsmith-*" -ErrorAction SilentlyContinue
  # Of our seed: the rule that let us in, and the copy that Windows Setup kept of its answer file.
  & netsh.exe advfirewall firewall delete rule name=goldsmith-ssh | Out-Null
  Remove-Item -Force "$env:SystemRoot\Panther\unattend.xml" -ErrorAction SilentlyContinue
} catch { $failed = 1; Say "GOLDSMITH-SCRUB failed: $_" }
Say "GOLDSMITH-SCRUB exit=$failed"
if ($port) { $port.Close() }
Unregister-ScheduledTask -TaskName 'goldsmith-deprovision' -Confirm:$false -ErrorAction SilentlyContinue
Stop-Computer -Force
