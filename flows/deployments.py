"""What ``isoscope serve`` offers: every flow as a deployment, with its schedules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ParameterTypeError, SignatureMismatchError
from prefect.flows import EntrypointType
from prefect.schedules import Schedule as PrefectSchedule
from prefect.utilities.annotations import freeze
from prefect.utilities.callables import ParameterSchema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from pydantic import ValidationError as BadCron

from flows.attribute_concepts import attribute_concepts
from flows.compare_networks import compare_networks
from flows.drift_layers import drift_layers
from flows.early_warning import early_warning
from flows.edit_networks import edit_networks, study_editing
from flows.measure_layers import measure_layers
from flows.probe_concepts import probe_concepts
from flows.separate_layers import separability_study, separate_layers
from flows.similarity_studies import study_activations, study_generalisation, study_width_depth
from flows.stitch_networks import stitch_networks
from flows.watch_training import watch_training
from service.errors import BadInput, UnknownName
from service.schedules import Schedule
from service.settings import Settings

# the one list: a flow that stands here is served, may be scheduled, and has a run form in the Prefect UI
SERVED: tuple[Flow[..., Any], ...] = (
    measure_layers,
    watch_training,
    early_warning,
    drift_layers,
    separate_layers,
    separability_study,
    compare_networks,
    stitch_networks,
    probe_concepts,
    attribute_concepts,
    edit_networks,
    study_activations,
    study_generalisation,
    study_width_depth,
    study_editing,
)


class ClosedSchema(ParameterSchema):
    """Prefect's parameter schema, which would let a misspelt name through, with that door closed."""

    additionalProperties: Literal[False] = False


def deployments(settings: Settings, name: str, schedules: Sequence[Schedule]) -> list[RunnerDeployment]:
    """Every served flow as a deployment `name` on the settings' store. Raises UnknownName and BadInput, contacts nobody."""
    by_name: dict[str, Flow[..., Any]] = {flow.name: flow for flow in SERVED}
    for schedule in schedules:
        where = f"schedule {schedule.name!r}"
        if schedule.flow not in by_name:
            raise UnknownName.of(f"flow in {where}:", schedule.flow, by_name)
        _refuse_parameters(where, by_name[schedule.flow], schedule.parameters, settings)
    return [_deployment(flow, settings, name, schedules) for flow in SERVED]


def _deployment(flow: Flow[..., Any], settings: Settings, name: str, schedules: Iterable[Schedule]) -> RunnerDeployment:
    own = [_prefect_schedule(schedule) for schedule in schedules if schedule.flow == flow.name]
    deployment = RunnerDeployment.from_flow(
        flow,
        name,
        schedules=own,  # an empty list takes away those of an earlier start
        parameters={**_given(flow, settings), "store": freeze(_store(settings))},  # shown in the run form, fixed there
        tags=["isoscope"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    schema = deployment._parameter_openapi_schema
    deployment._parameter_openapi_schema = ClosedSchema(**schema.model_dump(), additionalProperties=False)
    return deployment


def _store(settings: Settings) -> str:
    return settings.store_name


def _given(flow: Flow[..., Any], settings: Settings) -> dict[str, Any]:
    """What a run of the flow is given where it does not say otherwise."""
    given = {"store": _store(settings), "lock_wait": settings.lock_wait, "device": settings.device}
    return {name: value for name, value in given.items() if name in flow.parameters.properties}


def _prefect_schedule(schedule: Schedule) -> PrefectSchedule:
    """Intervals count from a midnight long ago, so that starting the service again does not shift them."""
    try:
        CronSchedule(cron=schedule.cron or "* * * * *", timezone=schedule.timezone)
    except BadCron as error:
        said = f'cron needs five fields such as "0 3 * * *"; got {schedule.cron!r}'
        raise BadInput(f"schedule {schedule.name!r}: {said}") from error
    return PrefectSchedule(
        cron=schedule.cron,
        interval=schedule.interval,
        timezone=schedule.timezone,
        anchor_date=datetime(2024, 1, 1, tzinfo=ZoneInfo(schedule.timezone)),
        parameters=dict(schedule.parameters),
        slug=schedule.name,
    )


def _refuse_parameters(where: str, flow: Flow[..., Any], parameters: Any, settings: Settings) -> None:
    """Raise unless the Prefect UI's form and the flow itself would both take these parameters."""
    known = set(flow.parameters.properties) - {"store"}
    for name in parameters:
        if name == "store":
            raise BadInput(f"{where}: the store is the service's own, set by ISOSCOPE_STORE: leave it out")
        if name not in known:
            raise UnknownName.of(f"parameter of {flow.name} in {where}:", name, known)
    given = {**_given(flow, settings), **parameters}
    try:
        validate(given, flow.parameters.model_dump(), raise_on_error=True, preprocess=False)
        flow.validate_parameters(given)
    except (ValidationError, ParameterTypeError, SignatureMismatchError) as error:
        said = re.sub(r"^(Validation failed|Flow run received invalid parameters:)\W*", "", str(error))
        raise BadInput(f"{where}: {' '.join(said.split())}") from error
