"""What the seed holds for a Windows guest: an answer file for Windows Setup, and the same for cloudbase-init.

A generalized image asks for an answer file on its next boot and looks for `Unattend.xml` on a CD ("Windows
Setup Automation Overview", implicit search order); so does Azure let itself in. An image with cloudbase-init
runs the user-data of a NoCloud seed. Both run one script. It has not met a real Windows yet.
"""

from __future__ import annotations

import secrets
from importlib import resources
from xml.sax.saxutils import escape

from builder.vm.access import BuildAccess
from provisioners.environment import powershell_quote

SETUP = "goldsmith-setup.ps1"
_ARCHITECTURE = (
    'processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS"'
)
# The letter of the CD is not known; a command of an answer file has at most 259 characters.
_RUN = (
    f"cmd.exe /c for %i in (D E F G H) do if exist %i:\\{SETUP} "
    f"powershell.exe -NoProfile -ExecutionPolicy Bypass -File %i:\\{SETUP}"
)


def setup_script(access: BuildAccess) -> str:
    """The script that lets us in. Its first line makes cloudbase-init run it by the 64-bit PowerShell."""
    values = {
        "user": access.user,
        "publicKey": access.client_key.public,
        "hostKey": access.host_key.private,
        "hostKeyPublic": access.host_key.public,
    }
    header = "".join(f"${name} = {powershell_quote(value)}\n" for name, value in values.items())
    create = "$false" if access.declared else "$true"
    body = resources.files("builder.vm").joinpath("windows_setup.ps1").read_text(encoding="utf-8")
    return f"#ps1_sysnative\n{header}$create = {create}\n{body}"


def unattend() -> str:
    """The answer file: run the setup script as the system, then ask nobody anything."""
    # A server stops and asks for one otherwise; sysprep takes it away again.
    password = f"{secrets.token_urlsafe(18)}aA1!"
    return f"""<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend"
          xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State">
  <settings pass="specialize">
    <component name="Microsoft-Windows-Deployment" {_ARCHITECTURE}>
      <RunSynchronous>
        <RunSynchronousCommand wcm:action="add">
          <Order>1</Order>
          <Path>{escape(_RUN)}</Path>
        </RunSynchronousCommand>
      </RunSynchronous>
    </component>
  </settings>
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-International-Core" {_ARCHITECTURE}>
      <InputLocale>en-US</InputLocale>
      <SystemLocale>en-US</SystemLocale>
      <UILanguage>en-US</UILanguage>
      <UserLocale>en-US</UserLocale>
    </component>
    <component name="Microsoft-Windows-Shell-Setup" {_ARCHITECTURE}>
      <OOBE>
        <HideEULAPage>true</HideEULAPage>
        <HideLocalAccountScreen>true</HideLocalAccountScreen>
        <HideOnlineAccountScreens>true</HideOnlineAccountScreens>
        <HideWirelessSetupInOOBE>true</HideWirelessSetupInOOBE>
        <ProtectYourPC>3</ProtectYourPC>
      </OOBE>
      <UserAccounts>
        <AdministratorPassword>
          <Value>{password}</Value>
          <PlainText>true</PlainText>
        </AdministratorPassword>
      </UserAccounts>
    </component>
  </settings>
</unattend>
"""


def seed_files(access: BuildAccess, meta_data: str) -> dict[str, str]:
    """The files of the seed by name. cloudbase-init takes meta-data and user-data of a volume `cidata`."""
    script = setup_script(access)
    return {
        "meta-data": meta_data,
        "user-data": script,
        "Unattend.xml": unattend(),
        SETUP: "\ufeff" + script if not script.isascii() else script,
    }
