"""The pages as a visitor uses them, in a headless browser against a server of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bundle import BooleanColumn, CategoricalColumn, Column, DateColumn, NumericColumn, Rules
from serving.keys import add_key
from tests.serving.answers.test_builder import calibration, rows_of
from tests.serving.browser import Browser, Page, browsing, needs_chromium
from tests.serving.bundles import publish, publish_patients, publish_sales
from tests.serving.processes import Running, running

pytestmark = needs_chromium
READY = "document.querySelector('#page')?.hidden === false && document.querySelector('#headline').textContent !== ''"
PHONE, DESK = (360, 800), (1200, 900)
# Of the texts on the curve: those that the picture's edge cuts off, and how many pairs cover each other.
BEYOND_THE_PICTURE = """(() => {
  const box = document.querySelector("#curve svg").getBoundingClientRect();
  return [...document.querySelectorAll("#curve text")].filter((own) => {
    const its = own.getBoundingClientRect();
    return its.left < box.left - 0.5 || its.right > box.right + 0.5;
  }).map((own) => own.textContent);
})()"""
OVER_ONE_ANOTHER = """(() => {
  const boxes = [...document.querySelectorAll("#curve text")].map((own) => own.getBoundingClientRect());
  return boxes.flatMap((one, place) => boxes.slice(place + 1).filter((other) => one.left < other.right - 1
    && other.left < one.right - 1 && one.top < other.bottom - 3 && other.top < one.bottom - 3)).length;
})()"""
# In px, from the middle of the slider's thumb, which is 16 wide, to the line that marks the present value.
FROM_THUMB_TO_MARK = """(() => {
  const slide = document.querySelector("#slide"), its = slide.getBoundingClientRect();
  const mark = document.querySelector("#curve .here")?.getBoundingClientRect() ?? { left: NaN, right: NaN };
  const share = (slide.value - slide.min) / (slide.max - slide.min);
  return Math.abs(its.left + 8 + share * (its.width - 16) - (mark.left + mark.right) / 2);
})()"""
LONG_NAME = "sales_of_a_shop_" * 13  # 208 characters
MARKUP = "<img src=x onerror=\"document.title='broken'\">"


SIZED: tuple[Column, ...] = (
    NumericColumn(name="tiny", nullable=False, minimum=1.2e-7, maximum=9.5e-6, integer=False, example=1e-6),
    NumericColumn(name="large", nullable=False, minimum=-3e9, maximum=7e9, integer=True, example=0),
    NumericColumn(name="rooms", nullable=False, minimum=-12345, maximum=25957, integer=True, example=0),
    NumericColumn(name="fare", nullable=False, minimum=-124.356789, maximum=512.329256, integer=False, example=0),
    CategoricalColumn(name="place", nullable=False, categories=("NEAR THE OCEAN", "INLAND"), example="INLAND"),
)
SIZED_ROW = {"tiny": 1e-6, "large": 10_000_000, "rooms": 77, "fare": 8.5, "place": "INLAND"}
FILLED = Rules(missing="filled", fill=30.2008, flagged=True)
RULED: tuple[Column, ...] = (
    NumericColumn(name="age", nullable=True, minimum=0, maximum=90, integer=False, example=None, rules=FILLED),
    NumericColumn(
        name="height", nullable=True, minimum=0, maximum=9, integer=False, example=None, rules=Rules(missing="filled")
    ),
    BooleanColumn(name="smoker", nullable=True, example=None, rules=Rules(missing="filled", fill=0.5)),
    DateColumn(
        name="joined",
        nullable=True,
        minimum="1999-01-01",
        maximum="2024-12-31",
        example=None,
        rules=Rules(missing="filled", fill="2016-12-26T04:34:17.142+00:00"),
    ),
    CategoricalColumn(
        name="city",
        nullable=True,
        categories=("Bern",),
        example=None,
        rules=Rules(missing="category", unseen="unknown"),
    ),
    NumericColumn(name="older", nullable=True, minimum=0, maximum=90, integer=False, example=None),
)
WIDE: tuple[Column, ...] = tuple(
    NumericColumn(name=f"column {place}", nullable=False, minimum=0, maximum=1000, integer=True, example=1)
    for place in range(30)
)
WIDE_ROW = {own.name: 1 for own in WIDE}
# Each is a fraction of a day that float64 has a hair less of.
MOMENTS = ("2021-03-04T05:06:07", "2021-03-04T16:06:02", "2021-03-05T03:05:57", "2021-03-06T18:41:39")
MOVED = tuple(
    DateColumn(
        name=own, nullable=False, minimum=own, maximum="2021-12-31T12:00:00.000+00:00", example=f"{own}.000+00:00"
    )
    for own in MOMENTS
)
LONG_CLASSES = ("Definitely and to all of my friends", "Perhaps, level I", "Perhaps, level II")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    bundles = folder / "bundles"
    publish_patients(bundles, calibration=calibration("risk"), background=tuple(rows_of("risk")))
    publish_sales(bundles, calibration=calibration("sales"), background=tuple(rows_of("sales")))
    publish_sales(bundles, name="plain")
    publish_sales(bundles, name=LONG_NAME)
    hostile = CategoricalColumn(name=f"b{MARKUP}", nullable=True, categories=(MARKUP, "plain"), example=MARKUP)
    publish(bundles, name="hostile", version=1, columns=[hostile], rows=[{hostile.name: MARKUP}], classes=(MARKUP, "n"))
    publish(bundles, name="sized", version=1, columns=SIZED, rows=[SIZED_ROW])
    publish(bundles, name="small", version=1, columns=SIZED[:1], rows=[{"tiny": 1e-6}])
    publish(bundles, name="ruled", version=1, columns=RULED, rows=[dict.fromkeys(own.name for own in RULED)])
    publish(
        bundles,
        name="wide",
        version=1,
        columns=WIDE,
        rows=[WIDE_ROW],
        classes=LONG_CLASSES,
        background=(WIDE_ROW, WIDE_ROW | {"column 1": 900}),
    )
    publish(bundles, name="moments", version=1, columns=MOVED, rows=[{own: own for own in MOMENTS}])
    nine = dict(list(WIDE_ROW.items())[:9])
    publish(bundles, name="nine", version=1, columns=WIDE[:9], rows=[nine], background=(nine,))
    with running(folder, SERVING_BUNDLES="bundles") as own:
        yield own


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as own:
        yield own


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.tab() as own:
        own.resize(*DESK)
        yield own
        assert own.troubles == []


def visit(page: Page, server: Running, model: str) -> None:
    page.open(f"{server.address}/#{model}")
    page.wait(
        "document.querySelector('#page')?.hidden === false && document.querySelector('#headline').textContent !== ''"
    )


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)}).innerText"))


def asked_row(page: Page) -> dict[str, Any]:
    """The row that the lines to copy ask for."""
    (body,) = re.findall(r"-d '(.*)'", text(page, "#curl"))
    (row,) = json.loads(body)["rows"]
    return dict(row)


def predict(server: Running, model: str, row: dict[str, Any]) -> dict[str, Any]:
    path = f"/models/{model}/predict?coverage=0.9&explain=true"
    (prediction,) = server.post(path, json={"rows": [row]}).json()["predictions"]
    return dict(prediction)


def fill_in(page: Page, place: int, value: str) -> None:
    """Type into the field of a column, or empty it."""
    page.run(
        f"(() => {{ const own = document.querySelector('#column-{place}'); own.focus();"
        f" own.value = {json.dumps(value)};"
        " own.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def choose_moved(page: Page, place: int) -> None:
    page.run(
        f"(() => {{ const own = document.querySelector('#moved'); own.value = {place};"
        " own.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )


def answer_stands(page: Page) -> None:
    page.wait(
        "document.querySelector('#answer:not(.stale, [aria-busy])') !== null"
        " && document.querySelector('#curve svg')?.checkVisibility({ visibilityProperty: true }) === true"
    )


def texts_of_curve(page: Page) -> list[str]:
    return list(page.run("[...document.querySelectorAll('#curve text')].map((own) => own.textContent)"))


def numbers(said: str) -> list[float]:
    return [float(own) for own in re.findall(r"-?\d+(?:\.\d+)?", said.replace("\u2212", "-"))]


def wait_for_value(page: Page, server: Running, row: dict[str, Any]) -> None:
    value = predict(server, "ice cream", row)["value"]
    page.wait(f"Math.abs(Number(document.querySelector('#headline').textContent) - {value}) < 1e-3")


def test_the_page_shows_a_model_and_asks_nobody_else(server: Running, page: Page):
    page.open(f"{server.address}/")
    page.wait(
        "document.querySelector('#page')?.hidden === false && document.querySelector('#headline').textContent !== ''"
    )
    assert text(page, "h1") == "hostile"
    assert {str(httpx.URL(own).copy_with(path="/", query=None, fragment=None)) for own in page.asked} == {
        f"{server.address}/"
    }


def test_a_value_has_its_interval_and_what_each_column_added(server: Running, page: Page):
    visit(page, server, "ice cream")
    prediction = predict(server, "ice cream", asked_row(page))
    assert numbers(text(page, "#headline")) == pytest.approx([prediction["value"]], rel=1e-3)
    lower, upper = numbers(text(page, ".certainty"))[:2]
    assert [lower, upper] == pytest.approx(list(prediction["interval"].values()), rel=1e-3)
    assert "9 times of 10" in text(page, ".certainty")
    (base,) = numbers(text(page, ".because h3"))
    added = numbers(page.run("[...document.querySelectorAll('.because .share')].map((own) => own.innerText).join(' ')"))
    assert base + sum(added) == pytest.approx(prediction["value"], abs=1e-3)


def test_classes_have_bars_and_a_set_and_say_which_rules_were_used(server: Running, page: Page):
    visit(page, server, "patients")
    prediction = predict(server, "patients", asked_row(page))
    shares = page.run("[...document.querySelectorAll('#details > .bars .share')].map((own) => own.innerText)")
    expected = [100 * share for share in prediction["probabilities"].values()]
    assert [numbers(share)[0] for share in shares] == pytest.approx(expected, abs=0.06)
    assert text(page, ".certainty").startswith(" or ".join(prediction["label_set"]))
    assert {line.split(" was ")[0] for line in text(page, ".rules").splitlines()} == set(prediction["rules"])


def test_a_version_without_calibration_shows_its_answer_alone(server: Running, page: Page):
    visit(page, server, "plain")
    assert text(page, "#headline") != ""
    assert page.run("document.querySelector('.certainty, .because')") is None


def test_a_slider_moves_the_answer_and_the_mark_on_the_curve(server: Running, page: Page):
    visit(page, server, "ice cream")
    page.wait("document.querySelector('#curve .line') !== null")
    before = page.run("document.querySelector('#curve .here').getAttribute('x1')")
    page.run(
        "(() => { const own = document.querySelector('#slide'); own.value = 0;"
        " own.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert asked_row(page)["Temperatur in °C"] == 0
    wait_for_value(page, server, asked_row(page))
    page.wait(f"document.querySelector('#curve .here').getAttribute('x1') !== {json.dumps(before)}")


def test_what_is_tried_out_is_no_traffic(server: Running, page: Page):
    visit(page, server, "ice cream")
    answer_stands(page)
    asked = [httpx.URL(own).params for own in page.asked if "/predict" in own]
    assert [own.get("traffic") for own in asked] == ["false"] * 2, "the row, and its curve"
    assert asked[0]["coverage"] == "0.9"
    assert "traffic" not in text(page, "#curl") + text(page, "#python")


def test_the_keyboard_is_enough(server: Running, page: Page):
    visit(page, server, "ice cream")
    for _ in range(12):
        page.press("Tab")
        if page.run("document.activeElement.matches('#fields input:not([type=range])')"):
            break
    page.type("12.5")
    page.press("Enter")
    assert asked_row(page)["Temperatur in °C"] == 12.5
    wait_for_value(page, server, asked_row(page))
    page.press("Tab")
    page.press("ArrowRight")
    assert asked_row(page)["Temperatur in °C"] > 12.5


def test_a_mistake_is_said_beside_its_column(server: Running, page: Page):
    visit(page, server, "ice cream")
    page.run("document.querySelector('#fields input').focus()")
    page.type("warm")
    page.press("Enter")
    page.wait("document.querySelector('#fields .error').innerText !== ''")
    page.troubles.clear()  # the browser itself writes the refused request to its console


@pytest.mark.parametrize(
    ("model", "moved"), [("sized", 1), ("sized", 4), ("small", 0), ("patients", 5), ("wide", 0), ("hostile", 0)]
)
def test_no_number_or_name_on_the_curve_is_cut_off(server: Running, page: Page, model: str, moved: int):
    visit(page, server, model)
    choose_moved(page, moved)
    answer_stands(page)
    for screen in (PHONE, DESK):
        page.resize(*screen)
        page.wait("document.querySelector('#curve svg').clientWidth === document.querySelector('#curve').clientWidth")
        assert len(texts_of_curve(page)) >= 3
        assert page.run(BEYOND_THE_PICTURE) == []
        assert page.run(OVER_ONE_ANOTHER) == 0


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_the_slider_stands_below_the_mark_on_the_curve(server: Running, page: Page, screen: tuple[int, int]):
    page.resize(*screen)
    visit(page, server, "sized")
    for letters in ("16px", "32px"):
        page.run(f"document.documentElement.style.fontSize = {json.dumps(letters)}")
        for place, value in ((1, -3_000_000_000), (1, 7_000_000_000), (1, 2_000_000_000), (2, -12345)):
            fill_in(page, place, str(value))
            page.wait(f"document.querySelector('#slide').value === '{value}'")
            page.wait(f"{FROM_THUMB_TO_MARK} < 1.5")


def test_marks_on_an_axis_tell_each_other_apart(server: Running, page: Page):
    visit(page, server, "sized")
    for place in range(4):
        choose_moved(page, place)
        answer_stands(page)
        marks = page.run("[...document.querySelectorAll('#curve text[text-anchor=end]')].map((own) => own.textContent)")
        assert len(marks) >= 2
        assert len(set(marks)) == len(marks)


def test_while_a_value_is_wrong_no_curve_stands_under_the_name_of_another_column(server: Running, page: Page):
    visit(page, server, "patients")
    fill_in(page, 1, "120.5")
    answer_stands(page)
    fill_in(page, 0, "")
    page.wait("document.querySelector('#answer.stale') !== null")
    assert page.run("document.querySelector('#moved').selectedOptions[0].text") == "age"
    assert not page.run("document.querySelector('#curve svg').checkVisibility({ visibilityProperty: true })")
    fill_in(page, 0, "50")
    answer_stands(page)
    assert "Over age from 1 to 90" in page.run("document.querySelector('#curve svg').getAttribute('aria-label')")
    page.troubles.clear()  # the browser itself writes the refused request to its console


def test_a_curve_that_comes_late_is_not_shown_for_another_column(server: Running, page: Page):
    visit(page, server, "ice cream")
    answer_stands(page)
    page.run(
        "(() => { const real = window.fetch; window.late = 0; window.drawn = [];"
        " window.fetch = async (path, options) => { const answer = await real(path, options);"
        "   if (options.body?.includes('columns')) { window.late += 1;"
        "     await new Promise((done) => setTimeout(done, 100)); } return answer; };"
        " new MutationObserver(() => { const svg = document.querySelector('#curve svg');"
        "   const name = document.querySelector('#moved').selectedOptions[0].text;"
        "   window.drawn.push([name, svg.getAttribute('aria-label')]);"
        " }).observe(document.querySelector('#curve'), { childList: true }); })()"
    )
    choose_moved(page, 1)
    page.wait("window.late === 1")
    fill_in(page, 0, "12.5")  # asked for after a pause, in which the first curve arrives
    page.wait("window.drawn.some(([name]) => name !== 'humidity')")
    ranges = {"Temperatur in °C": "-5 to 38", "humidity": "0 to 100"}
    wrong = [own for own in page.run("window.drawn") if not own[1].startswith(f"Over {own[0]} from {ranges[own[0]]}:")]
    assert wrong == []


def test_the_curve_is_dimmed_with_the_answer(server: Running, page: Page):
    visit(page, server, "ice cream")
    fill_in(page, 0, "12.5")
    answer_stands(page)
    fill_in(page, 0, "warm")
    page.wait("document.querySelector('#answer.stale') !== null")
    assert page.run("Number(getComputedStyle(document.querySelector('#curve')).opacity)") < 1
    fill_in(page, 0, "13.5")
    answer_stands(page)
    assert page.run("Number(getComputedStyle(document.querySelector('#curve')).opacity)") == 1
    page.troubles.clear()  # the browser itself writes the refused request to its console


def test_each_rule_is_said_as_it_is(server: Running, page: Page):
    visit(page, server, "ruled")
    assert text(page, ".rules").splitlines() == [
        "age was missing: 30.2 is taken instead, and the model is told",
        "height was missing: each trial takes a value of its own instead",
        "smoker was missing: midway between yes and no is taken instead",
        "joined was missing: 2016-12-26 is taken instead",
        "older was missing",
        "city was missing: that counts as a label of its own",
    ]
    page.run(
        "(() => { const own = document.querySelector('#column-4'); own.selectedIndex = 1;"
        " own.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    page.wait("document.querySelector('.rules').innerText.includes('not seen')")
    assert "city was not seen in training: it counts as unknown, as every new label does" in text(page, ".rules")


def test_a_range_is_never_said_wider_than_it_is(server: Running, page: Page):
    visit(page, server, "sized")
    hints = page.run("[...document.querySelectorAll('#fields .hint')].map((own) => own.innerText)")
    assert hints[:4] == [
        "1.2E-7 to 9.5E-6",
        "-3,000,000,000 to 7,000,000,000, whole numbers",
        "-12,345 to 25,957, whole numbers",
        "-124.356 to 512.329",
    ]
    choose_moved(page, 2)
    answer_stands(page)
    assert {"-12,345", "25,957"} <= set(texts_of_curve(page))


def test_what_is_no_decimal_number_is_refused(server: Running, page: Page):
    visit(page, server, "ice cream")
    for typed in ("0x10", "0b11", "0o7", "Infinity", "1,000"):
        fill_in(page, 0, typed)
        assert asked_row(page)["Temperatur in °C"] == typed
        page.wait("document.querySelector('#fields .error').innerText !== ''")
        fill_in(page, 0, "1")
        page.wait("document.querySelector('#fields .error').innerText === ''")
    page.troubles.clear()  # the browser itself writes the refused request to its console


def test_numbers_are_read_as_a_hand_writes_them(server: Running, page: Page):
    visit(page, server, "ice cream")
    for typed, number in (("-2", -2), ("2.", 2), (".5", 0.5), ("1e1", 10), ("+3", 3)):
        fill_in(page, 0, typed)
        assert asked_row(page)["Temperatur in °C"] == number


def test_the_ninth_column_of_nine_is_named_and_more_are_counted(server: Running, page: Page):
    last = "[...document.querySelectorAll('.because .label')].at(-1).innerText"
    visit(page, server, "wide")
    assert page.run(last) == "22 others"
    visit(page, server, "nine")
    page.wait("document.querySelector('h1').innerText === 'nine'")
    answer_stands(page)
    assert page.run("document.querySelectorAll('.because .label').length") == 9
    assert page.run(last).startswith("column ")


def test_going_to_the_answer_keeps_the_model_in_the_address(server: Running, page: Page):
    page.resize(*PHONE)
    visit(page, server, "sized")
    page.run("document.querySelector('#glance').click()")
    assert page.run("document.activeElement.id") == "answer"
    assert page.run("location.hash") == "#sized"


def test_a_mistake_is_seen_though_its_column_was_not_looked_for(server: Running, page: Page):
    visit(page, server, "wide")
    fill_in(page, 1, "much")
    page.wait("document.querySelectorAll('#fields .wrong').length === 1")
    page.run(
        "(() => { const own = document.querySelector('#find'); own.value = 'column 29';"
        " own.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    seen = "[...document.querySelectorAll('#fields > :not([hidden]) label')].map((own) => own.innerText.trim())"
    assert page.run(seen) == ["column 1", "column 29"]
    page.troubles.clear()  # the browser itself writes the refused request to its console


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("model", ["ice cream", "patients", "hostile", "sized", "wide", LONG_NAME])
def test_a_screen_is_wide_enough(server: Running, page: Page, model: str, screen: tuple[int, int]):
    page.resize(*screen)
    visit(page, server, model)
    page.wait("document.querySelector('#curve svg') !== null")
    assert page.run("document.documentElement.scrollWidth") <= screen[0]


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_a_screen_is_wide_enough_for_the_description(server: Running, page: Page, screen: tuple[int, int]):
    page.resize(*screen)
    page.open(f"{server.address}/docs")
    page.wait("document.querySelectorAll('#routes details').length > 5")
    page.run("document.querySelectorAll('#routes details').forEach((own) => (own.open = true))")
    assert page.run("document.documentElement.scrollWidth") <= screen[0]


def test_large_letters_leave_room_for_the_bars(server: Running, page: Page):
    page.resize(*PHONE)
    visit(page, server, "wide")
    page.run("document.documentElement.style.fontSize = '32px'")
    widths = page.run("[...document.querySelectorAll('#details .track')].map((own) => own.clientWidth)")
    assert len(widths) == 12
    assert min(widths) > 150
    assert page.run("document.documentElement.scrollWidth") <= PHONE[0]


def test_a_moment_is_asked_for_to_the_second(server: Running, page: Page):
    visit(page, server, "moments")
    assert asked_row(page) == {own: own for own in MOMENTS}
    page.run(
        "(() => { const own = document.querySelector('#column-0').parentElement.querySelector('[type=range]');"
        " own.value = own.min; own.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert page.run("document.querySelector('#column-0').value") == MOMENTS[0]


def test_names_of_a_table_are_text_and_never_markup(server: Running, page: Page):
    visit(page, server, "hostile")
    page.wait("document.querySelector('#curve svg') !== null")
    assert MARKUP in page.run("document.querySelector('#details').textContent")
    assert page.run("document.querySelector('main img')") is None
    assert page.run("document.title") == "hostile · sweepstack"


def test_the_lines_to_copy_ask_the_same_question(server: Running, page: Page):
    visit(page, server, "patients")
    label = text(page, "#headline").split(",")[0]
    by_curl = subprocess.run(["bash", "-c", text(page, "#curl")], capture_output=True, text=True, check=True)
    assert json.loads(by_curl.stdout)["predictions"][0]["label"] == label
    by_python = subprocess.run(
        [sys.executable, "-c", text(page, "#python")], capture_output=True, text=True, check=True
    )
    assert f"'label': '{label}'" in by_python.stdout


def test_a_server_with_keys_is_asked_with_the_visitors(tmp_path: Path, page: Page):
    publish_sales(tmp_path / "bundles")
    key = add_key(tmp_path / "keys.json", name="visitor", role="reader")
    with running(tmp_path, SERVING_BUNDLES="bundles", SERVING_KEYS_FILE="keys.json") as own:
        page.open(f"{own.address}/")
        page.wait("document.querySelector('#key-card')?.hidden === false")
        page.run("document.querySelector('#key').focus()")
        page.type(key)
        page.press("Enter")
        page.wait("document.querySelector('#headline').textContent !== ''")
        assert not any(key in address for address in page.asked)
        assert key not in text(page, "#curl")
        page.run("sessionStorage.setItem('sweepstack.key', 'swk_no-longer-valid')")
        fill_in(page, 0, "12.5")
        page.wait("document.querySelector('#key-said').innerText === 'The server does not take this key.'")
        page.type(key)
        page.press("Enter")
        answer_stands(page)
        assert asked_row(page)["Temperatur in °C"] == 12.5
    page.troubles.clear()  # the browser itself writes the first refusal, 401, to its console


def test_the_description_needs_nobody_else(server: Running, page: Page):
    page.open(f"{server.address}/docs")
    page.wait("document.querySelectorAll('#routes details').length > 5")
    assert {httpx.URL(own).netloc.decode() for own in page.asked} == {httpx.URL(server.address).netloc.decode()}
