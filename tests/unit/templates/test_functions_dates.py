"""Date functions and the format strings of .NET."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from arm_context import value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from templates.arm.expressions import ExpressionError

NOON = "2020-04-07 14:53:14Z"


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (None, "20190305T175318Z"),
        ("d", "03/05/2019"),
        ("M d", "3 5"),
        ("u", "2019-03-05 17:53:18Z"),
        ("s", "2019-03-05T17:53:18"),
        ("o", "2019-03-05T17:53:18.2500000Z"),
        ("R", "Tue, 05 Mar 2019 17:53:18 GMT"),
        ("D", "Tuesday, 05 March 2019"),
        ("F", "Tuesday, 05 March 2019 17:53:18"),
        ("g", "03/05/2019 17:53"),
        ("t", "17:53"),
        ("y", "2019 March"),
        ("m", "March 05"),
        ("yyyy-MM-ddTHH:mm:ssZ", "2019-03-05T17:53:18Z"),
        ("yyyyMMddHHmmss", "20190305175318"),
        ("yy.M.d h:m:s tt", "19.3.5 5:53:18 PM"),
        ("ddd dddd MMM MMMM t", "Tue Tuesday Mar March P"),
        ("HH.fff fffffff", "17.250 2500000"),
        ("ss.FFFFF", "18.25"),
        ("%d", "5"),
        ("'day' d \\d \"h\"", "day 5 d h"),
        ("z zz zzz K", "+0 +00 +00:00 Z"),
    ],
)
def test_formats_of_dotnet(form, value):
    argument = "" if form is None else "'" + form.replace("'", "''") + "'"
    assert value_of(f"utcNow({argument})") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # The three examples of Microsoft's reference that show how long months and years are.
        ("dateTimeAdd('2023-01-31 00:00:00Z', 'P1M')", "2023-03-02T00:00:00Z"),
        ("dateTimeAdd('2024-01-31 00:00:00Z', 'P1M')", "2024-03-01T00:00:00Z"),
        (f"dateTimeAdd('{NOON}', 'P3Y', 'G')", "04/07/2023 14:53:14"),
        (f"dateTimeAdd('{NOON}', '-P9D')", "2020-03-29T14:53:14Z"),
        (f"dateTimeAdd('{NOON}', 'PT1H')", "2020-04-07T15:53:14Z"),
        (f"dateTimeAdd('{NOON}', 'P1DT2H30M1.5S')", "2020-04-08T17:23:15.5Z"),
        (f"dateTimeAdd('{NOON}', 'P14M')", "2021-06-06T14:53:14Z"),
        ("dateTimeAdd('2020-04-07T14:53:14+02:00', 'PT0S')", "2020-04-07T12:53:14Z"),
        ("dateTimeAdd('20190305T175318Z', 'P1D', 'yyyy-MM-dd')", "2019-03-06"),
        ("dateTimeAdd('2019-03-05', 'P1D', 'yyyy-MM-dd')", "2019-03-06"),
        ("dateTimeAdd('4/7/2023 2:53:14 PM', 'P1D', 's')", "2023-04-08T14:53:14"),
        ("dateTimeAdd('04/07/2023', 'P1D', 's')", "2023-04-08T00:00:00"),
        ("dateTimeAdd(dateTimeFromEpoch(1680224438), 'P1D')", "2023-04-01T01:00:38Z"),
        ("dateTimeFromEpoch(1683040573)", "2023-05-02T15:16:13Z"),
        ("dateTimeToEpoch('2023-05-02T15:16:13Z')", 1683040573),
        ("dateTimeToEpoch('1969-12-31T23:59:59.5Z')", -1),
        ("dateTimeToEpoch(dateTimeAdd(utcNow(), 'P1Y'))", 1583344398),
    ],
)
def test_dates(text, value):
    assert value_of(text) == value


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_an_epoch_survives_the_way_there_and_back(moment):
    seconds = int((moment.replace(microsecond=0) - datetime.fromtimestamp(0, UTC)).total_seconds())
    assert value_of(f"dateTimeToEpoch(dateTimeFromEpoch({seconds}))") == seconds


@settings(deadline=None)
@given(st.text(alphabet="yMdHhmsfFtzKgTZ:/-. '\"\\%", max_size=12))
def test_any_format_gives_a_text_or_an_expression_error(form):
    argument = "'" + form.replace("'", "''") + "'"
    try:
        assert isinstance(value_of(f"utcNow({argument})"), str)
    except ExpressionError as error:
        assert re.search("is no format of a date", error.message)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("dateTimeAdd(dateTimeFromEpoch(1680224438), 'PTASDIONS1D')", "no ISO 8601 duration"),
        ("dateTimeAdd('2020-01-01', 'P')", "'P' is no ISO 8601 duration"),
        ("dateTimeAdd('2020-01-01', 'P1DT')", "'P1DT' is no ISO 8601 duration"),
        ("dateTimeAdd('2020-01-01', 'P2W')", "'P2W' is no ISO 8601 duration"),
        ("dateTimeAdd('2020-01-01', 'P999999999Y')", "too long"),
        ("dateTimeAdd('2020-01-01', 'P9000Y')", "outside of the years"),
        ("dateTimeAdd('tomorrow', 'P1D')", "'tomorrow' is no date"),
        ("dateTimeAdd('2020-02-30', 'P1D')", "'2020-02-30' is no date"),
        ("dateTimeAdd('13/13/2020', 'P1D')", "is no date"),
        ("dateTimeAdd('1/1/2020 13:00:00 PM', 'P1D')", "is no date"),
        ("dateTimeAdd('0001-01-01T00:00:00+10:00', 'P1D')", "is no date"),
        ("dateTimeAdd('2020-01-01', 'P1D', 'x')", "'x' is no format"),
        ("utcNow('''open')", "is no format"),
        ("utcNow('ffffffff')", "7 digits at most"),
        ("dateTimeFromEpoch(99999999999999)", "outside of the years"),
        ("dateTimeFromEpoch('x')", "must be an int"),
        ("dateTimeToEpoch('x')", "'x' is no date"),
        ("dateTimeToEpoch(5)", "must be a string"),
    ],
)
def test_wrong_arguments(text, part):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "BadArguments"
    assert part in caught.value.message
