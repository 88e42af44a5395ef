"""Functions of IP networks in CIDR notation."""

from __future__ import annotations

import ipaddress

from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, integer, quoted, text
from templates.arm.syntax import Json

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@function("parseCidr", 1)
def _parse_cidr(network: Json) -> Json:
    """The parts of a network; an IPv6 network has no broadcast address and can use all of its own."""
    parsed = _network(network, "parseCidr()")
    first, last = parsed.network_address, parsed.broadcast_address
    result = {"network": str(first), "netmask": str(parsed.netmask)}
    if parsed.version == 4:
        result["broadcast"] = str(last)
        if parsed.prefixlen < 31:
            first, last = first + 1, last - 1
        else:
            last = first  # as ARM: two addresses are too few for hosts
    return {**result, "firstUsable": str(first), "lastUsable": str(last), "cidr": parsed.prefixlen}


@function("cidrSubnet", 3)
def _cidr_subnet(network: Json, prefix: Json, index: Json) -> Json:
    parsed = _network(network, "cidrSubnet()")
    length = integer(prefix, "the new CIDR of cidrSubnet()")
    number = integer(index, "the index of cidrSubnet()")
    if not parsed.prefixlen <= length <= parsed.max_prefixlen:
        message = f"cidrSubnet(): the new CIDR is {parsed.prefixlen} to {parsed.max_prefixlen}, not {length}"
        raise bad(message)
    if not 0 <= number < 2 ** (length - parsed.prefixlen):
        raise bad(f"cidrSubnet(): {parsed} has no subnet /{length} with the index {number}")
    address = parsed.network_address + number * 2 ** (parsed.max_prefixlen - length)
    return f"{address}/{length}"


@function("cidrHost", 2)
def _cidr_host(network: Json, index: Json) -> Json:
    """The usable address with this index; 0 is the one after the address of the network."""
    parsed = _network(network, "cidrHost()")
    number = integer(index, "the index of cidrHost()")
    usable = parsed.num_addresses - (2 if parsed.version == 4 else 1)
    if not 0 <= number < usable:
        raise bad(f"cidrHost(): {parsed} has no host with the index {number}")
    return str(parsed.network_address + number + 1)


def _network(value: Json, what: str) -> _Network:
    given = text(value, f"the network of {what}")
    address, _, length = given.partition("/")
    if length.isascii() and length.isdigit() and len(length) <= 3 and "%" not in address:
        try:
            return ipaddress.ip_network(given, strict=False)
        except ValueError:
            pass
    hint = "for example 10.0.0.0/16 or fd00::/48"
    raise bad(f"{what}: {quoted(given)} is no network in CIDR notation", hint=hint)
