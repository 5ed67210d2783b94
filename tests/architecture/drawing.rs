//! The picture: rooms, the way of data between them, and in each what it uses.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::rooms::{FLOW, ROOMS, Room};

const WIDTH: usize = 212;
const HEIGHT: usize = 146;
/// Between two rooms.
const GAP: usize = 34;
const MARGIN: usize = 16;
/// Characters that fit into a line of a room.
const LINE: usize = 31;

/// Rooms that are named where one uses them; more are counted.
const MOST_NAMED: usize = 6;

/// The picture as SVG. Its colours follow the reader's light or dark.
pub fn draw(uses: &BTreeSet<(&str, &str)>) -> String {
    let columns = ROOMS.iter().map(|room| room.at.0 + 1).max().unwrap_or(1);
    let rows = ROOMS.iter().map(|room| room.at.1 + 1).max().unwrap_or(1);
    let (width, height) = (along(columns, WIDTH), along(rows, HEIGHT));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" role=\"img\">\n\
         <title>The rooms of keydb-harness, and the way of data through them</title>\n{STYLE}\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for (from, to) in FLOW {
        svg.push_str(&arrow(room(from), room(to)));
    }
    for it in ROOMS {
        svg.push_str(&boxed(it, uses));
    }
    svg.push_str(&legend());
    svg.push_str("</svg>\n");
    svg
}

/// In the last row, where no room is.
fn legend() -> String {
    let (x, y) = (
        along(2, WIDTH) - MARGIN + GAP,
        along(3, HEIGHT) - MARGIN + GAP,
    );
    let lines = [
        (
            "says",
            "Blue: the way of data. Grey: what it is made with, and what asks.",
        ),
        (
            "uses",
            "uses: read from the code. Each room uses those before it in one order",
        ),
        (
            "against",
            "(tests/architecture/rooms.rs), but for what goes against it, for a reason.",
        ),
    ];
    let texts = lines.iter().enumerate().map(|(number, (class, text))| {
        let y = y + 20 + 16 * number;
        format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n")
    });
    texts.collect()
}

/// The length of so many rooms.
fn along(rooms: usize, length: usize) -> usize {
    2 * MARGIN + rooms * length + (rooms - 1) * GAP
}

fn room(name: &str) -> &'static Room {
    let found = ROOMS.iter().find(|room| room.name == name);
    found.unwrap_or_else(|| panic!("no room is called {name}"))
}

/// The upper left corner.
fn corner(room: &Room) -> (usize, usize) {
    let (column, row) = room.at;
    (
        MARGIN + column * (WIDTH + GAP),
        MARGIN + row * (HEIGHT + GAP),
    )
}

/// From one room to its neighbour.
fn arrow(from: &Room, to: &Room) -> String {
    let ((x1, y1), (x2, y2)) = (corner(from), corner(to));
    let middle = |x: usize, y: usize| (x + WIDTH / 2, y + HEIGHT / 2);
    let (start, end) = match (x1.cmp(&x2), y1.cmp(&y2)) {
        (std::cmp::Ordering::Less, _) => {
            ((x1 + WIDTH, middle(x1, y1).1), (x2 - 3, middle(x2, y2).1))
        }
        (std::cmp::Ordering::Greater, _) => {
            ((x1, middle(x1, y1).1), (x2 + WIDTH + 3, middle(x2, y2).1))
        }
        (_, std::cmp::Ordering::Less) => {
            ((middle(x1, y1).0, y1 + HEIGHT), (middle(x2, y2).0, y2 - 3))
        }
        _ => ((middle(x1, y1).0, y1), (middle(x2, y2).0, y2 + HEIGHT + 3)),
    };
    // The main way is the one that begins with the topology and ends with the report.
    let main = FLOW[..9].contains(&(from.name, to.name));
    let class = if main { "main" } else { "side" };
    format!(
        "<path class=\"{class}\" marker-end=\"url(#{class})\" d=\"M{} {} L{} {}\"/>\n",
        start.0, start.1, end.0, end.1
    )
}

/// A room with its name, its modules, what it is and what it uses.
fn boxed(room: &Room, uses: &BTreeSet<(&str, &str)>) -> String {
    let (x, y) = corner(room);
    let main = FLOW[..9]
        .iter()
        .any(|(from, to)| [from, to].contains(&&room.name));
    let class = if main { "room way" } else { "room" };
    let mut svg = format!(
        "<g transform=\"translate({x} {y})\">\
         <rect class=\"{class}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>\n\
         <text class=\"name\" x=\"12\" y=\"23\">{}</text>\n",
        room.name
    );
    let mut line = 40;
    let mut write = |class: &str, text: &str| {
        for part in wrapped(text) {
            let _ = writeln!(
                svg,
                "<text class=\"{class}\" x=\"12\" y=\"{line}\">{part}</text>"
            );
            line += 14;
        }
    };
    write("says", room.says);
    let beside: Vec<&str> = room
        .modules
        .iter()
        .copied()
        .filter(|it| *it != room.name)
        .collect();
    if !beside.is_empty() {
        write("modules", &format!("with {}", beside.join(", ")));
    }
    let place = |name: &str| ROOMS.iter().position(|it| it.name == name);
    let used = |later: bool| -> Vec<&str> {
        let of_it = ROOMS.iter().map(|it| it.name);
        let of_it = of_it.filter(|to| uses.contains(&(room.name, to)));
        of_it
            .filter(|to| (place(to) > place(room.name)) == later)
            .collect()
    };
    let (before, later) = (used(false), used(true));
    // What every room stands on tells nothing.
    let before: Vec<&str> = before.into_iter().filter(|it| *it != "ground").collect();
    if before.len() > MOST_NAMED {
        write("uses", &format!("uses {} rooms", before.len()));
    } else if !before.is_empty() {
        write("uses", &format!("uses {}", before.join(", ")));
    }
    if !later.is_empty() {
        write("against", &format!("and, against it, {}", later.join(", ")));
    }
    svg.push_str("</g>\n");
    svg
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        if let Some(line) = lines.last_mut() {
            match line.len() + word.len() < LINE {
                true if line.is_empty() => line.push_str(word),
                true => *line = format!("{line} {word}"),
                false => lines.push(word.to_owned()),
            }
        }
    }
    lines
}

const STYLE: &str = r##"<style>
.ground { fill: #ffffff }
.room { fill: #f6f8fa; stroke: #8c959f }
.way { fill: #ddf4ff; stroke: #0969da }
.name { font-size: 16px; font-weight: 600; fill: #1f2328 }
.says { font-size: 11.5px; fill: #1f2328 }
.modules, .uses { font-size: 11px; fill: #59636e }
.against { font-size: 11px; fill: #9a3412 }
.main { stroke: #0969da; stroke-width: 3; fill: none }
.side { stroke: #8c959f; stroke-width: 2; fill: none }
#main path { fill: #0969da }
#side path { fill: #8c959f }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 }
.room { fill: #151b23; stroke: #656c76 }
.way { fill: #0c2d4f; stroke: #4493f8 }
.name, .says { fill: #f0f6fc }
.modules, .uses { fill: #b1bac4 }
.against { fill: #f0883e }
.main { stroke: #4493f8 }
.side { stroke: #656c76 }
#main path { fill: #4493f8 }
#side path { fill: #656c76 }
}
</style>
<defs>
<marker id="main" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="4" markerHeight="4" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker>
<marker id="side" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker>
</defs>
"##;
