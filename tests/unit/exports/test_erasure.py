import json
from uuid import uuid4

from iris_pipelines.exports.erasure import erased_payload

CONTACT, PSEUDONYM = uuid4(), uuid4()
EMAIL = "Ann@example.com"


def test_of_a_rejected_event_stays_what_tells_nothing() -> None:
    record = {
        "id": "1",
        "event_type": "message.opened",
        "contact_id": str(CONTACT).upper(),
        "provider": f"mail of ann@EXAMPLE.com, {CONTACT}",
        "cost": "much",
        "ip_address": "10.1.2.3",
        "event_data": {"url": "https://a"},
        "unknown": "field",
    }
    erased = erased_payload(json.dumps(record), CONTACT, PSEUDONYM, [EMAIL])
    assert erased is not None
    assert json.loads(erased) == {
        "id": "1",
        "event_type": "message.opened",
        "contact_id": str(PSEUDONYM),
        "cost": "much",
    }


def test_nothing_stays_of_what_cannot_be_read() -> None:
    for payload in (f'{{"{EMAIL}', "[1]", '"text"', ""):
        assert erased_payload(payload, CONTACT, PSEUDONYM, [EMAIL]) is None
