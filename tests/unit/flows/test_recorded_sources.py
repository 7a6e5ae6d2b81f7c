"""A record's `eventSource` leads back to the operation that left it."""

import pytest

from leastwise.audit.record import _event_source
from leastwise.flows.operations import operations_table
from leastwise.flows.why_records import service_of

SERVICES = sorted({service for service, _ in operations_table()})


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_found_again_by_what_its_records_say(service):
    assert service == service_of({"eventSource": _event_source(service)})


def test_records_that_were_written_under_the_old_name_are_found_too():
    assert "accessanalyzer" == service_of({"eventSource": "accessanalyzer.amazonaws.com"})
