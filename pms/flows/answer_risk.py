"""`pms.risk` with a requestId: a report of now, and a result that says where it is or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis.asyncio import Redis

from pms.config import ConfigError
from pms.contract import names
from pms.contract.codes import Code, Refusal
from pms.contract.money import encode
from pms.contract.portfolio import RiskRequest
from pms.contract.reading import model_from
from pms.contract.results import Result
from pms.db.errors import DatabaseError
from pms.flows.portfolio import Asked, Deps, report_risk
from pms.risk.scenarios import BadScenario, Scenario, scenario_from

log = structlog.get_logger()


async def answer_risk(redis: Redis, make: Callable[[], Deps], fields: dict[str, Any]) -> Result | None:
    """Answer a request; None where its requestId cannot be used, for then nobody can be answered.

    `make` may raise ConfigError: that is an answer, too.
    """
    try:
        request = model_from(RiskRequest, fields)
        deps = make()
        scenario = _scenario(request.scenario, deps.terms.scenarios)
        asked = Asked(str(request.request_id), request.sub_account_id, scenario)
        report = await report_risk(deps, asked)
        result = _result(
            fields, success=True, details={"report": names.portfolio_key(asked.id), "seq": report.seq}
        )
    except Refusal as refusal:
        if refusal.code in {Code.MISSING_REQUEST_ID, Code.BAD_REQUEST_ID}:
            log.warning("risk_request_unanswerable", error=refusal.error, actual=refusal.actual)
            return None
        result = _result(
            fields,
            success=False,
            code=refusal.code.value,
            error=refusal.error,
            field=refusal.field,
            limit=refusal.limit,
            actual=refusal.actual,
        )
    except (DatabaseError, ConfigError) as error:
        result = _result(fields, success=False, code=Code.NOT_READY.value, error=str(error))
    await _publish(redis, result)
    return result


def _scenario(wanted: str | dict[str, Any] | None, known: Sequence[Scenario]) -> Scenario | None:
    """A scenario by its name, or as it was sent; raises Refusal."""
    if wanted is None:
        return None
    if isinstance(wanted, str):
        found = next((each for each in known if each.name == wanted), None)
        if found is None:
            raise Refusal(
                Code.BAD_FIELD,
                "no scenario has this name",
                field="scenario",
                limit=", ".join(each.name for each in known),
                actual=wanted,
            )
        return found
    try:
        return scenario_from(wanted)
    except BadScenario as error:
        raise Refusal(
            Code.BAD_FIELD, str(error), field=error.field, limit=error.limit, actual=error.actual
        ) from None


def _result(fields: dict[str, Any], **more: Any) -> Result:
    account = fields.get("subAccountId")
    return Result(
        request_id=str(fields["requestId"]),
        command=names.Task.RISK,
        sub_account_id=account if isinstance(account, str) else None,
        **more,
    )


async def _publish(redis: Redis, result: Result) -> None:
    """As every result goes out: the key first, then the channel of the same name."""
    untyped: Any = redis
    key, text = names.result_key(result.request_id), encode(result)
    async with untyped.pipeline(transaction=True) as pipe:
        pipe.set(key, text, ex=names.RESULT_TTL_S)
        pipe.publish(key, text)
        await pipe.execute()
