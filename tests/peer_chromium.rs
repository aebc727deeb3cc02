//! The report in a real browser: nothing on the console, nothing asked of the network, the right figures, names for those
//! who don't see it, text that neither overlaps nor is cut off, on light and dark ground.
//!
//! A browser that is missing is a loud skip, and a failure with `NETLAB_REQUIRE_PEERS=1`.

use std::path::{Path, PathBuf};

use netlab::report;
use netlab::units::Mode;
use serde_json::{Value, json};

#[path = "support/browser.rs"]
mod browser;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/run.rs"]
mod run;

use browser::Browser;
use run::{Run, Setting, claims, predictions};

fn lab() -> Run {
    Run {
        settings: vec![Setting::new(21, 4, 4), Setting::new(21, 16, 4)],
        title: Some("Who pays?".to_owned()),
        claims: claims(),
        predictions: predictions(),
        ..Run::default()
    }
}

/// Runs that make charts of every kind, and long text everywhere.
fn kinds() -> Vec<(&'static str, Run)> {
    let of = |settings: Vec<Setting>| Run { settings, ..Run::default() };
    let long =
        "A case that goes on and on, as if each word were to be paid for; supercalifragilisticexpialidocious0123456789";
    let case = |case: String, hosts| Setting { case, switch: "hub", ..Setting::new(hosts, 4, 3) };
    let kinds = |switch| [100.0, 20_000.0].map(|rate| Setting { switch, rate: Some(rate), ..Setting::new(12, 5, 3) });
    vec![
        ("lab", lab()),
        ("old", Run { without_conditions: true, without_metadata: true, ..lab() }),
        ("large", of(vec![Setting::new(200, 150, 2), Setting::new(1000, 20, 1)])),
        ("sweep", of([1, 2, 4, 8, 16, 32, 40].map(|k| Setting::new(41, k, 3)).to_vec())),
        ("kinds", of(["snooping", "flooding", "hub"].into_iter().flat_map(kinds).collect())),
        ("cases", of(vec![case(long.to_owned(), 9), case(long.replace(' ', ""), 40), case(String::new(), 6)])),
        ("routed", of(vec![Setting { beyond_router: 5, ..Setting::new(14, 12, 3) }])),
        ("served", of([(3, 1), (5, 2), (21, 16), (41, 20), (60, 40)].map(|(n, k)| Setting::served(n, k, 3)).to_vec())),
        ("detour", of(vec![Setting { beyond_router: 5, ..Setting::served(14, 9, 3) }])),
        ("silent", of(vec![Setting { silent_from: Some(0.5), modes: vec![Mode::Multicast], ..Setting::new(9, 4, 3) }])),
        ("one", of(vec![Setting { modes: vec![Mode::Unicast], ..Setting::new(2, 1, 1) }])),
        ("none", of(vec![Setting { trials: 0, ..Setting::new(5, 2, 1) }])),
    ]
}

/// The report of a run in a folder of its own.
fn reported(run: &Run, folder: &Path, name: &str) -> (PathBuf, Vec<PathBuf>) {
    let dir = folder.join(name);
    run.write(&dir);
    let written = report::write(&dir).unwrap();
    (written.page, written.charts)
}

/// Texts of pictures that overlap others of the same picture or leave it, and whether the page is wider than the window.
const FAULTS: &str = r"
    document.querySelectorAll('details').forEach(details => details.open = true);
    const faults = [];
    for (const svg of document.querySelectorAll('svg')) {
        const frame = svg.getBoundingClientRect();
        if (frame.width === 0) { faults.push('a picture without a place'); continue; }
        const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
        // Half a pixel of rounding.
        const out = box => box.left < frame.left - .5 || box.right > frame.right + .5
            || box.top < frame.top - .5 || box.bottom > frame.bottom + .5;
        const meet = (a, b) => a.left + .5 < b.right && b.left + .5 < a.right
            && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
        texts.forEach(([text, box], index) => {
            if (box.width > 0 && out(box)) { faults.push('cut off: ' + text); }
            for (const [other, place] of texts.slice(index + 1)) {
                if (meet(box, place)) { faults.push('overlap: ' + text + ' / ' + other); }
            }
        });
    }
    if (document.documentElement.scrollWidth > innerWidth) {
        faults.push('wider than the window: ' + document.documentElement.scrollWidth + ' of ' + innerWidth);
    }
    return faults.slice(0, 20);";

#[test]
fn nothing_overlaps_is_cut_off_or_asked_of_the_network() {
    if !cli::have(&["chromium", "chromedriver"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    for (name, run) in kinds() {
        let (page, charts) = reported(&run, folder.path(), name);
        for (width, height) in [(1600, 900), (420, 800)] {
            browser.resize(width, height);
            browser.open(&page);
            assert_eq!(browser.run(FAULTS), json!([]), "{name}, {width} wide");
        }
        let asked = browser.requests();
        assert!(asked.len() >= 2 && asked.iter().all(|url| url == &format!("file://{}", page.display())), "{asked:?}");
        for chart in charts {
            browser.open(&chart);
            assert_eq!(browser.run("return document.documentElement.localName"), "svg", "{}", chart.display());
            assert_eq!(
                browser.run("return document.getElementsByTagName('parsererror').length"),
                0,
                "{}",
                chart.display()
            );
            // As large as it says it is, whatever the window.
            let faults = FAULTS.replace("document.querySelectorAll('svg')", "[document.documentElement]");
            let faults = faults.replace("document.documentElement.scrollWidth", "0");
            assert_eq!(browser.run(&faults), json!([]), "{}", chart.display());
        }
        let asked = browser.requests();
        assert!(asked.iter().all(|url| url.starts_with("file://") && url.ends_with(".svg")), "{asked:?}");
    }
    assert_eq!(browser.console(), [""; 0]);
}

/// The colours of the picture in this file, `#rrggbb`, drawn as an image on somebody else's page.
const COLOURS_AS_IMAGE: &str = r"
    const image = new Image();
    image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(SVG);
    return image.decode().then(() => {
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const pen = canvas.getContext('2d');
        pen.drawImage(image, 0, 0);
        const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4) {
            // What is not opaque lets the page through.
            if (data[at + 3] === 255) { seen.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]); }
        }
        return [...seen].map(colour => '#' + colour.toString(16).padStart(6, '0'));
    });";

#[test]
fn a_chart_is_an_image_on_any_page() {
    if !cli::have(&["chromium", "chromedriver"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = Run { settings: [4, 16].map(|k| Setting::served(21, k, 3)).to_vec(), ..Run::default() };
    let (_, charts) = reported(&run, folder.path(), "served");
    let elsewhere = folder.path().join("readme.html");
    std::fs::write(&elsewhere, "<!DOCTYPE html><title>elsewhere</title>").unwrap();
    let browser = Browser::start();
    browser.emulate("screen", "dark");
    browser.open(&elsewhere);
    let chart = |name: &str| {
        let path = charts.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    for name in ["network-1", "receivers-all-link-frames", "cost-1", "funnel-1"] {
        let svg = chart(name);
        let script = COLOURS_AS_IMAGE.replace("SVG", &serde_json::to_string(&svg).unwrap());
        let seen = browser.run(&script);
        let seen: Vec<&str> = seen.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(seen.contains(&"#ffffff"), "{name} is on white ground, whatever the page is");
        for mode in Mode::ALL {
            let (_, colour) = svg.split_once(&format!(".f-{mode}{{fill:")).unwrap();
            assert!(seen.contains(&&colour[..7]), "{name} lacks {mode}'s {}", &colour[..7]);
        }
    }
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn figures_names_and_keys() {
    if !cli::have(&["chromium", "chromedriver"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    browser.resize(1600, 900);
    let (page, _) = reported(&lab(), folder.path(), "lab");
    browser.open(&page);

    // The main table of the first setting, as it is read on the page.
    let cells = browser.run(
        "return [...document.querySelectorAll('#setting-1 > .scroll tbody tr')]
            .map(row => [...row.cells].map(cell => cell.innerText.trim()).slice(0, 4))",
    );
    assert_eq!(
        cells,
        json!([
            ["unicast", "4.00", "8.00", "0.00"],
            ["broadcast", "1.00", "21.00", "1.00"],
            ["raw-broadcast", "1.00", "21.00", "1.00"],
            ["multicast", "1.00", "5.00", "0.00"],
        ])
    );
    // 21 hosts in each picture, 16 of them on links that carry nothing by multicast.
    let picture = |mode: &str, what: &str| {
        browser.run(&format!(
            "return document.querySelector('svg[aria-labelledby=network-1-{mode}-title]').querySelectorAll('{what}').length"
        ))
    };
    assert_eq!((picture("unicast", "g > title"), picture("multicast", "line.none")), (json!(21), json!(16)));
    assert_eq!(picture("broadcast", "line.none"), 0);

    // Unfolded, for what is folded away has no name. Every picture, table, list and link has one, and the headings leave no level out.
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)");
    let pictures = browser.accessible("svg[role=img]");
    assert!(pictures.len() > 20);
    for (role, name) in &pictures {
        assert!(role == "img" || role == "image", "{role}");
        assert!(name.len() > 2, "a picture without a name");
    }
    let names =
        |selector: &str| -> Vec<String> { browser.accessible(selector).into_iter().map(|(_, name)| name).collect() };
    assert!(names("table").iter().all(|name| !name.is_empty()), "{:?}", names("table"));
    assert!(names("a").iter().all(|name| !name.is_empty()), "{:?}", names("a"));
    assert!(names("main section").contains(&"Who pays".to_owned()), "{:?}", names("main section"));
    assert_eq!(names("nav"), ["Contents"]);
    let levels = browser.run("return [...document.querySelectorAll('h1,h2,h3')].map(heading => +heading.localName[1])");
    let levels: Vec<u64> = levels.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(levels[..2], [1, 2]);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let lost = "return [...document.querySelectorAll('[aria-labelledby],[aria-describedby]')].filter(element =>
        ['aria-labelledby', 'aria-describedby'].some(name =>
            element.hasAttribute(name) && !document.getElementById(element.getAttribute(name))?.textContent)).length";
    assert_eq!(browser.run(lost), 0);
    let twice = "const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
        return ids.filter((id, index) => ids.indexOf(id) !== index)";
    assert_eq!(browser.run(twice), json!([]));
    let dead = "return [...document.querySelectorAll('a[href^=\"#\"]')].filter(link => !document.querySelector(link.hash)).length";
    assert_eq!(browser.run(dead), 0);

    // Keys: the first leads past the contents; what is unfolded folds.
    let focused = "return document.activeElement.innerText";
    browser.press('\u{e004}');
    assert_eq!(browser.run(focused), "Skip to the results");
    browser.press('\u{e007}');
    assert_eq!(browser.run("return location.hash"), "#results");
    browser.run("document.querySelector('figure summary').focus()");
    browser.press('\u{e007}');
    assert_eq!(browser.run("return document.querySelector('figure details').open"), false);
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn light_dark_and_paper() {
    if !cli::have(&["chromium", "chromedriver"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    let (page, _) = reported(&lab(), folder.path(), "lab");
    browser.open(&page);
    let colours = || {
        browser.run(
            "const of = (element, name) => getComputedStyle(element)[name];
             return [of(document.body, 'backgroundColor'), of(document.body, 'color'),
                     of(document.querySelector('figure svg text'), 'fill')]",
        )
    };
    let light = json!(["rgb(255, 255, 255)", "rgb(20, 24, 29)", "rgb(20, 24, 29)"]);
    let dark = json!(["rgb(20, 23, 28)", "rgb(238, 241, 245)", "rgb(238, 241, 245)"]);
    browser.emulate("screen", "light");
    assert_eq!(colours(), light);
    browser.emulate("screen", "dark");
    assert_eq!(colours(), dark);
    browser.emulate("print", "dark");
    assert_eq!(colours(), light, "paper is light");
    assert_eq!(browser.run("return getComputedStyle(document.querySelector('nav')).display"), "none");
    assert_eq!(browser.console(), [""; 0]);

    // The page forbids itself scripts, and the console, which was silent so far, is heard.
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, text.replace("</main>", "<script>document.title = 'run'</script></main>")).unwrap();
    browser.open(&page);
    assert_eq!(browser.run("return document.title"), "Who pays? – netlab report");
    assert_eq!(browser.console().len(), 1);
}
