"""An internet without a network: addresses that lead to listeners on this machine. Keeps `linux.egress_outside.Outside`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from leastwise.linux.egress_addresses import Address, judged_form
from leastwise.runtime.interface import EgressAllowed, EgressRefused


class StagedInternet:
    """`names`: host -> its addresses. `machines`: (address, port) -> port on loopback. `ours`: the platform's addresses."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.machines: dict[tuple[str, int], int] = {}
        self.ours: set[str] = {"127.0.0.1", "::1"}
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.silent = False

    async def look_up(self, account_id: str, host: str) -> Sequence[Address]:
        self.looked_up.append(host)
        if self.silent:
            await asyncio.Event().wait()
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [judged_form(text) for text in self.names[host]]

    def leads_away(self, address: Address) -> bool:
        return str(address) not in self.ours

    async def connect(self, address: Address, port: int) -> socket.socket:
        self.connected.append((str(address), port))
        if (str(address), port) not in self.machines:
            raise ConnectionRefusedError(111, "refused")
        made = socket.socket()
        made.settimeout(0)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.machines[str(address), port]))
        return made

    def close(self) -> None:
        pass


class Rules:
    """Keeps `runtime.Egress` with a list: hosts that are let out (None for all), and networks named by address."""

    def __init__(self, hosts: Sequence[str] | None, *networks: str) -> None:
        self.hosts = hosts
        self.networks: tuple[Any, ...] = tuple(
            IPv6Network(network) if ":" in network else IPv4Network(network) for network in networks
        )
        self.asked: list[tuple[str, str, int]] = []
        self.counted: list[tuple[str, str, int, int, int]] = []

    def decide(self, function_arn: str, host: str, port: int) -> EgressAllowed | EgressRefused:
        self.asked.append((function_arn, host, port))
        if self.hosts is None or host in self.hosts:
            return EgressAllowed(addresses=self.networks)
        return EgressRefused(reason="no rule of the test")

    def carried(self, function_arn: str, host: str, port: int, *, sent_bytes: int, received_bytes: int) -> None:
        self.counted.append((function_arn, host, port, sent_bytes, received_bytes))
