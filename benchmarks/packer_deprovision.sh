#!/bin/sh
# AIB's default, then off: after it no account is left that could ask for a shutdown. Azure brings the
# file that says which user to delete; without it waagent would leave the build user and its key.
cd /
mkdir -p /var/lib/waagent
cat > /var/lib/waagent/ovf-env.xml <<OVF
<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure">
  <ns1:ProvisioningSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet>
      <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
      <ns1:HostName>localhost</ns1:HostName>
      <ns1:UserName>packer</ns1:UserName>
      <ns1:DisableSshPasswordAuthentication>true</ns1:DisableSshPasswordAuthentication>
    </ns1:LinuxProvisioningConfigurationSet>
  </ns1:ProvisioningSection>
  <ns1:PlatformSettingsSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:PlatformSettings><ns1:ProvisionGuestAgent>true</ns1:ProvisionGuestAgent></ns1:PlatformSettings>
  </ns1:PlatformSettingsSection>
</ns0:Environment>
OVF
WAAGENT=/usr/sbin/waagent
waagent -version 1> /dev/null 2>&1
# shellcheck disable=SC2181 # word for word AIB's
if [ $? -eq 0 ]; then
  WAAGENT=waagent
fi
$WAAGENT -force -deprovision+user && export HISTSIZE=0 && sync
systemctl poweroff --force
