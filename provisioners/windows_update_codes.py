"""What the Windows Update Agent's result codes mean, and what helps.

After Microsoft's "Windows Update error codes by component" and "Windows Update common errors".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpdateCode:
    """One code. `transient`: it may be another the next time."""

    name: str
    meaning: str
    hint: str
    transient: bool = False


_NETWORK = "Does the guest reach Windows Update (x-goldsmith.network, a proxy, a firewall)?"
_REPAIR = "Repair the image in a step before it: DISM /Online /Cleanup-Image /RestoreHealth"
_LATER = "The service was busy or restarting; set x-goldsmith.retry, or build again later."
_WSUS = "Does the image name a WSUS server (HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate)?"


def _passing(name: str, meaning: str, hint: str) -> UpdateCode:
    return UpdateCode(name, meaning, hint, transient=True)


CODES = {
    0x80072EE2: _passing("ERROR_INTERNET_TIMEOUT", "the server did not answer in time", _NETWORK),
    0x80072EE7: _passing("ERROR_INTERNET_NAME_NOT_RESOLVED", "a name was not resolved", _NETWORK),
    0x80072EFD: _passing("ERROR_INTERNET_CANNOT_CONNECT", "no connection to the server", _NETWORK),
    0x80072EFE: _passing("ERROR_INTERNET_CONNECTION_ABORTED", "the connection broke off", _NETWORK),
    0x80072F8F: UpdateCode(
        "ERROR_INTERNET_SECURE_FAILURE",
        "the server's certificate is not valid",
        "Is the guest's clock right, and are its root certificates up to date?",
    ),
    0x80070005: UpdateCode(
        "E_ACCESSDENIED", "access is denied", "Is the account an administrator's? The task runs as SYSTEM."
    ),
    0x80070020: _passing("ERROR_SHARING_VIOLATION", "a file is in use", _LATER),
    0x80070070: UpdateCode("ERROR_DISK_FULL", "the disk is full", "Raise vmProfile.osDiskSizeGB."),
    0x80070422: UpdateCode(
        "ERROR_SERVICE_DISABLED",
        "the update service is disabled",
        "Enable wuauserv in a step before it.",
    ),
    0x800705B4: _passing("ERROR_TIMEOUT", "an operation took too long", _LATER),
    0x80073712: UpdateCode("ERROR_SXS_COMPONENT_STORE_CORRUPT", "the component store is damaged", _REPAIR),
    0x800F081F: UpdateCode("CBS_E_SOURCE_MISSING", "files of the component store are missing", _REPAIR),
    0x800F0922: UpdateCode(
        "CBS_E_INSTALLERS_FAILED",
        "a part of the update failed",
        "Often the system or EFI partition is full, or .NET is damaged: see C:\\Windows\\Logs\\CBS\\CBS.log.",
    ),
    0x80240016: _passing("WU_E_INSTALL_NOT_ALLOWED", "another installation is at work", _LATER),
    0x80240017: UpdateCode(
        "WU_E_NOT_APPLICABLE", "the update does not fit this Windows", "Leave it out by a filter."
    ),
    0x8024001E: _passing("WU_E_SERVICE_STOP", "the update service was stopping", _LATER),
    0x80240022: UpdateCode("WU_E_ALL_UPDATES_FAILED", "every update failed", "The lines before it say why."),
    0x80240032: UpdateCode(
        "WU_E_INVALID_CRITERIA",
        "the searchCriteria are not valid",
        "For example: BrowseOnly=0 and IsInstalled=0",
    ),
    0x80240438: _passing("WU_E_PT_ENDPOINT_UNREACHABLE", "the server is unreachable", _NETWORK),
    0x8024000B: _passing("WU_E_CALL_CANCELLED", "the operation was cancelled", _LATER),
    0x8024200D: _passing("WU_E_UH_NEEDANOTHERDOWNLOAD", "it has to be downloaded again", _LATER),
    0x80242014: _passing("WU_E_UH_POSTREBOOTSTILLPENDING", "a restart is still pending", _LATER),
    0x80244007: UpdateCode("WU_E_PT_SOAPCLIENT_SOAPFAULT", "the server refused the request", _WSUS),
    0x80244010: _passing("WU_E_PT_EXCEEDED_MAX_SERVER_TRIPS", "the search took too many trips", _LATER),
    0x80244017: UpdateCode("WU_E_PT_HTTP_STATUS_DENIED", "server or proxy denied access (401)", _NETWORK),
    0x80244018: UpdateCode("WU_E_PT_HTTP_STATUS_FORBIDDEN", "server or proxy forbade it (403)", _NETWORK),
    0x80244019: UpdateCode("WU_E_PT_HTTP_STATUS_NOT_FOUND", "the server does not know it (404)", _WSUS),
    0x8024401B: UpdateCode("WU_E_PT_HTTP_STATUS_PROXY_AUTH_REQ", "a proxy wants a password (407)", _NETWORK),
    0x8024401C: _passing("WU_E_PT_HTTP_STATUS_REQUEST_TIMEOUT", "the server gave up waiting (408)", _LATER),
    0x8024401F: _passing("WU_E_PT_HTTP_STATUS_SERVER_ERROR", "the server failed (500)", _LATER),
    0x80244022: _passing("WU_E_PT_HTTP_STATUS_SERVICE_UNAVAIL", "the server is busy (503)", _LATER),
    0x8024402C: _passing("WU_E_PT_WINHTTP_NAME_NOT_RESOLVED", "a name was not resolved", _NETWORK),
    0x8024402F: _passing("WU_E_PT_ECP_SUCCEEDED_WITH_ERRORS", "a file list was incomplete", _NETWORK),
    0x80248007: _passing("WU_E_DS_NODATA", "the agent's store lacks what it needs", _LATER),
    0x8024A10A: _passing("WU_E_AU_SHUTDOWN", "the update service shut down", _LATER),
    0x8024D009: UpdateCode("WU_E_SETUP_SKIP_UPDATE", "the agent does not update itself", _WSUS),
}


def explain(hresult: str) -> UpdateCode | None:
    """What `0x80240016` means; None for a code that is not known here, and for what is no code."""
    try:
        return CODES.get(int(hresult, 16))
    except ValueError:
        return None


def worded(hresult: str) -> str:
    """The code as a person reads it, with its name and meaning where they are known."""
    known = explain(hresult)
    return f"{hresult} ({known.name}: {known.meaning})" if known else hresult
