"""Which addresses may be fetched from: the wall between what strangers write and our own network.

The address that was checked is the address that is connected to: names are resolved once, by the connector, through
``PublicResolver``. Checking first and letting the connector resolve again would leave a gap (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The well-known prefix of NAT64 (RFC 6052): its last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressNotAllowed(OSError):  # noqa: N818 - an OSError, so that aiohttp carries it
    """A name that leads to an address which may not be fetched from."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, IPv4 addresses inside IPv6 ones looked at as well."""
    if isinstance(address, ipaddress.IPv6Address):
        same = address.ipv4_mapped
        if address in _NAT64:
            same = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if same is not None:
            return is_public(same)
        tunnelled = [address.sixtofour, *(address.teredo or ())]
        if any(end is not None and not is_public(end) for end in tunnelled):
            return False
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    return address.is_global and not (special or address.is_reserved or address.is_unspecified)


def check_literal(url: URL, allowed_hosts: Iterable[str]) -> None:
    """Check a host that is written as numbers: aiohttp connects to those without asking any resolver.

    Raises:
        AddressNotAllowed: If it is not public, or is no address at all (``2130706433`` is 127.0.0.1 to some systems).
    """
    host = (url.host or "").rstrip(".")
    if host in allowed_hosts or not (":" in host or host.replace(".", "").isdigit()):
        return
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise AddressNotAllowed(f"{host} is no address") from None
    if not is_public(address):
        raise AddressNotAllowed(f"{host} is not a public address")


class PublicResolver(AbstractResolver):
    """Resolves names and passes on public addresses only.

    Args:
        inner: Does the resolving.
        allowed_hosts: Names that may lead to private addresses.
    """

    def __init__(self, inner: AbstractResolver, allowed_hosts: Iterable[str] = ()) -> None:
        self._inner = inner
        self._allowed_hosts = frozenset(allowed_hosts)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name.

        Raises:
            AddressNotAllowed: If none of its addresses is public.
        """
        found = await self._inner.resolve(host, port, family)
        if host in self._allowed_hosts:
            return found
        public = [result for result in found if is_public(ipaddress.ip_address(result["host"].partition("%")[0]))]
        if not public:
            raise AddressNotAllowed(f"{host} leads to no public address")
        return public

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()
