"""Which log group or stream a call is about."""

from __future__ import annotations

from leastwise.flows.interface import Parameters, Scene, Target
from leastwise.logs.interface import InvalidLogsParameter, LogGroupNotFound
from leastwise.logs.names import check_group_name, check_stream_name, decided_arn, group_of_identifier


def group_of(scene: Scene, parameters: Parameters) -> str:
    """The group that a call names, by name or identifier; in the caller's account."""
    name, identifier = parameters.get("logGroupName"), parameters.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        message = "Exactly one of logGroupName and logGroupIdentifier must be specified."
        raise InvalidLogsParameter(message)
    if name is not None:
        return check_group_name(name)
    name, account_id = group_of_identifier(str(identifier))
    if account_id not in {None, scene.account_id}:
        # AWS shares groups between accounts through monitoring accounts; there are none here.
        raise LogGroupNotFound
    return name


def require_home_region(scene: Scene) -> None:
    """Refuses to find anything in another region than the one in which the groups are.

    SECURITY: a decision is made on an ARN, and the ARN's region is the caller's choice. Were the same group found under
    two regions, a policy that denies it in one could be walked around through the other.
    """
    if scene.region != scene.services.log_reader.region:
        raise LogGroupNotFound


def any_group(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn=decided_arn(scene.region, scene.account_id, ""), account_id=scene.account_id)


def one_group(scene: Scene, parameters: Parameters) -> Target:
    arn = decided_arn(scene.region, scene.account_id, group_of(scene, parameters))
    return Target(arn=arn, account_id=scene.account_id)


def one_stream(scene: Scene, parameters: Parameters) -> Target:
    stream = check_stream_name(parameters["logStreamName"])
    arn = decided_arn(scene.region, scene.account_id, group_of(scene, parameters), stream)
    return Target(arn=arn, account_id=scene.account_id)
