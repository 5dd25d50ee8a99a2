"""The wall around our own network: which addresses count as public, and that names cannot talk their way past it."""

import ipaddress

import pytest
from yarl import URL

from tests.unit.workers.streams.support import FixedResolver
from workers.streams.fetch_addresses import AddressNotAllowed, PublicResolver, check_literal, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - refused here
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_reserved_addresses_are_not_public(address: str):
    """Loopback, private, shared, link-local, multicast and documentation addresses, also inside IPv6 forms."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str):
    """What belongs to the internet may be fetched from."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_hosts_written_as_numbers_are_checked(uri: str):
    """Numbers are connected to without asking a resolver, so they are checked before, in every spelling."""
    with pytest.raises(AddressNotAllowed):
        check_literal(URL(uri), ())


def test_an_allowed_host_passes_in_spite_of_its_address():
    """The operator's own object store may be fetched from."""
    check_literal(URL("http://10.0.0.5:9000/a"), ("10.0.0.5",))
    check_literal(URL("http://8.8.8.8/a"), ())
    check_literal(URL("http://media.example.org/a"), ())


async def test_only_public_addresses_of_a_name_are_passed_on():
    """A name that leads inside and outside is connected to outside."""
    resolver = PublicResolver(FixedResolver("10.0.0.1", "8.8.8.8", "::1"))
    assert [found["host"] for found in await resolver.resolve("mixed.example.org")] == ["8.8.8.8"]


async def test_a_name_that_leads_inside_is_refused():
    """A public name for a private address opens nothing."""
    with pytest.raises(AddressNotAllowed):
        await PublicResolver(FixedResolver("192.168.0.1", "fe80::1%eth0")).resolve("inside.example.org")


async def test_an_allowed_name_may_lead_inside():
    """The names that the operator lists, and no others."""
    resolver = PublicResolver(FixedResolver("10.0.0.1"), ["store.internal"])
    assert [found["host"] for found in await resolver.resolve("store.internal")] == ["10.0.0.1"]
    with pytest.raises(AddressNotAllowed):
        await resolver.resolve("other.internal")
