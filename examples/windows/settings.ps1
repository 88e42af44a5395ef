# What Microsoft's guide for Azure images asks for, and what a server should not do.
$ErrorActionPreference = 'Stop'

# The hardware clock of Azure, and of Goldsmith's build VM, is in UTC.
$zone = 'HKLM:\SYSTEM\CurrentControlSet\Control\TimeZoneInformation'
Set-ItemProperty -Path $zone -Name RealTimeIsUniversal -Value 1 -Type DWord

& powercfg.exe /setactive SCHEME_MIN
Set-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\ServerManager' -Name DoNotOpenServerManagerAtLogon -Value 1
exit 0
