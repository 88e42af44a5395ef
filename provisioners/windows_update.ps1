# One round of Windows updates: search, select, download, install. The update agent refuses remote sessions,
# so it runs as a task of the system (provisioners/windows_update.py). Written against the documentation of
# the Windows Update Agent API; it has not met a real Windows yet. Python sets above this text:
#   $criteria $filters $limit $reportFile
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }

$report = @{ phase = 'start'; restart = $false; hresult = ''; message = ''; updates = @() }

function Stop-Round([int] $code) {
  $text = ConvertTo-Json -Compress -Depth 4 -InputObject $report
  [IO.File]::WriteAllText($reportFile, $text, (New-Object System.Text.UTF8Encoding $false))
  exit $code
}

function Test-Wanted($update, $rules) {
  # The first filter that fits decides, as in AIB and Packer; what none fits stays out.
  foreach ($rule in $rules) {
    if (@($update | Where-Object -FilterScript $rule.test).Count -gt 0) { return $rule.include }
  }
  return $false
}

function Add-Result($update, [int] $code, [int] $hresult) {
  $report.updates += @{
    id      = $update.Identity.UpdateID + '.' + $update.Identity.RevisionNumber
    title   = $update.Title
    code    = $code
    hresult = '0x{0:X8}' -f $hresult
  }
}

try {
  if ((New-Object -ComObject 'Microsoft.Update.SystemInfo').RebootRequired) {
    Write-Output 'A restart is pending from before.'
    $report.restart = $true
    Stop-Round 0
  }

  $report.phase = 'filters'
  $rules = @(foreach ($filter in $filters) {
    $action, $expression = $filter -split ':', 2
    @{ include = ($action.Trim() -eq 'include'); test = [ScriptBlock]::Create($expression) }
  })

  $report.phase = 'search'
  $session = New-Object -ComObject 'Microsoft.Update.Session'
  $session.ClientApplicationID = 'goldsmith'
  Write-Output "Searching: $criteria"
  $search = $session.CreateUpdateSearcher().Search($criteria)

  $report.phase = 'select'
  $chosen = @()
  for ($i = 0; $i -lt $search.Updates.Count; $i++) {
    $update = $search.Updates.Item($i)
    if (-not (Test-Wanted $update $rules)) { Write-Output "Filtered out: $($update.Title)"; continue }
    if ($update.InstallationBehavior.CanRequestUserInput) {
      Write-Output "Left out, it may ask somebody: $($update.Title)"
      continue
    }
    # 2: it wants to be installed alone.
    if ($update.InstallationBehavior.Impact -eq 2) { $chosen = @($update); break }
    if ($chosen.Count -lt $limit) { $chosen += $update }
  }
  Write-Output "$($search.Updates.Count) found, $($chosen.Count) to install"
  if ($chosen.Count -eq 0) { Stop-Round 0 }

  $report.phase = 'download'
  $ready = New-Object -ComObject 'Microsoft.Update.UpdateColl'
  $number = 0
  foreach ($update in $chosen) {
    $number++
    if (-not $update.EulaAccepted) { $update.AcceptEula() }
    if (-not $update.IsDownloaded) {
      $size = [Math]::Round($update.MaxDownloadSize / 1048576)
      Write-Output "Downloading $number of $($chosen.Count): $($update.Title) (at most $size MB)"
      $one = New-Object -ComObject 'Microsoft.Update.UpdateColl'
      [void] $one.Add($update)
      $downloader = $session.CreateUpdateDownloader()
      $downloader.Updates = $one
      $got = $downloader.Download()
      # 2 is success, 3 success with errors.
      if ($got.ResultCode -ne 2 -and $got.ResultCode -ne 3) {
        Add-Result $update $got.ResultCode $got.HResult
        continue
      }
    }
    [void] $ready.Add($update)
  }

  $report.phase = 'install'
  if ($ready.Count -gt 0) {
    for ($i = 0; $i -lt $ready.Count; $i++) {
      Write-Output "Installing $($i + 1) of $($ready.Count): $($ready.Item($i).Title)"
    }
    $installer = $session.CreateUpdateInstaller()
    $installer.Updates = $ready
    $done = $installer.Install()
    $report.restart = [bool] $done.RebootRequired
    for ($i = 0; $i -lt $ready.Count; $i++) {
      $result = $done.GetUpdateResult($i)
      Add-Result $ready.Item($i) $result.ResultCode $result.HResult
    }
    # What the installer left running must not be cut off by a restart.
    $until = (Get-Date).AddMinutes(10)
    while ((Get-Process -Name 'TiWorker' -ErrorAction SilentlyContinue) -and ((Get-Date) -lt $until)) {
      Start-Sleep -Seconds 5
    }
  }
  $report.phase = 'done'
  Stop-Round 0
} catch {
  $cause = $_.Exception.GetBaseException()
  $report.hresult = '0x{0:X8}' -f $cause.HResult
  $report.message = $cause.Message
  Stop-Round 1
}
