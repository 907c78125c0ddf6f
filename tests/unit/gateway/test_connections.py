"""Room for new connections when there are too many."""

from __future__ import annotations

from gateway.http.connections import Connections


class Client:
    def __init__(self, address: str, connections: Connections) -> None:
        self.address = address
        self.busy = False
        self.gone = False
        self._connections = connections
        connections.opened(self)

    def hang_up(self) -> None:
        self.gone = True
        self._connections.closed(self)


def test_the_connection_that_stood_still_for_longest_is_closed() -> None:
    connections = Connections(3)
    first, second, third = (Client("a", connections) for _ in range(3))
    connections.moved(first)
    Client("a", connections)
    assert (first.gone, second.gone, third.gone) == (False, True, False)


def test_a_connection_whose_request_is_being_answered_stays_while_another_is_idle() -> None:
    connections = Connections(3)
    first, second, third = (Client("a", connections) for _ in range(3))
    first.busy = second.busy = True
    Client("a", connections)
    assert (first.gone, second.gone, third.gone) == (False, False, True)


def test_the_address_with_the_most_connections_gives_way() -> None:
    connections = Connections(4)
    trader = Client("trader", connections)
    idle = [Client("flood", connections) for _ in range(50)]
    assert not trader.gone
    assert sum(not client.gone for client in idle) == 3
    assert [client.gone for client in idle] == [True] * 47 + [False] * 3


def test_streams_are_counted_and_never_closed() -> None:
    connections = Connections(2)
    streams = [Client("a", connections) for _ in range(2)]
    for stream in streams:
        connections.is_stream(stream)
    late = Client("a", connections)
    assert late.gone
    assert not any(stream.gone for stream in streams)
    connections.closed(streams[0])
    assert not Client("a", connections).gone


def test_any_number_without_a_limit() -> None:
    connections = Connections()
    assert not any(client.gone for client in [Client("a", connections) for _ in range(100)])
