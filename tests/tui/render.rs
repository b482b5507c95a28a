//! What is drawn, at the sizes that devices have: 7-inch panel, portrait panel, terminals, and far too small.

use std::time::Duration;

use crossterm::event::KeyCode;
use ratatui::layout::Position;
use tomato_assistant::{
    answer::{Advice, Answer, Further, Reference},
    climate::{Level, Quantity, Reading},
    knowledge::{Category, refusal::Why},
    stats::{Memory, Stats},
    text::{Lang, Msg},
    tui::{
        app::{Event, Page, Target},
        layout::{Layout, SMALLEST},
        theme::Role,
        widgets::{
            readings::full,
            wrap::{cells, fit, wrap},
        },
    },
};

use super::desk::{Desk, HANGUL, answer, asked, done};

/// 800x480 panel, the same with larger letters, common terminal, portrait panel, a desktop.
const SIZES: [(u16, u16); 5] = [(72, 21), (66, 18), (80, 24), (64, 57), (200, 60)];

#[test]
fn home_has_everything_at_every_size() {
    for (width, height) in SIZES {
        let mut desk = Desk::new(width, height);
        desk.at(7);
        desk.shows(&["Diseases and pests", "Greenhouse climate", "Nutrition and growth", "Equipment and sensors"]);
        desk.shows(&["Troubleshooting", "All readings", "10 questions", "Type your own question here", "Ask"]);
        desk.shows(&[
            "air 31.4 °C high 7 s",
            "root no answer",
            "not measured: humidity, CO2",
            "2 readings need a look",
        ]);
        desk.shows(&["Checking and loading the assistant, 7 s"]);
    }
}

#[test]
fn everything_to_touch_is_large_enough_for_a_finger() {
    for (width, height) in SIZES {
        let mut desk = Desk::ready(width, height);
        let mut targets: Vec<Target> = Category::ALL.map(Target::Category).into();
        targets.extend([Target::Readings, Target::Send, Target::Input]);
        check(&desk, &targets);
        desk.tap_on(Target::Category(Category::DiseaseManagement));
        check(&desk, &[Target::Ask(0), Target::Ask(1), Target::Back, Target::Send]);
        desk.tap_on(Target::Ask(0));
        check(&desk, &[Target::Stop, Target::Back]);
        desk.worker(done(answer("Water evenly.")));
        check(&desk, &[Target::Open(0), Target::Again, Target::Back]);
    }
    fn check(desk: &Desk, targets: &[Target]) {
        for target in targets {
            let area = desk.area_of(*target).unwrap();
            assert!(area.height >= 3 && area.width >= 8, "{target:?} is {area}:\n{}", desk.screen());
        }
    }
}

#[test]
fn hangul_titles_are_whole_and_leave_the_frame_straight() {
    for (width, height) in SIZES {
        let mut desk = Desk::ready(width, height);
        desk.tap_on(Target::Category(Category::DiseaseManagement));
        let screen = desk.screen();
        let squeezed: String = screen.chars().filter(|c| !c.is_whitespace() && !"█│".contains(*c)).collect();
        let title: String = HANGUL.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(squeezed.contains(&title), "{screen}");
        for line in screen.lines() {
            assert_eq!(cells(line), usize::from(width), "{line:?}");
        }
    }
}

#[test]
fn an_answer_says_all_that_it_is() {
    let mut desk = Desk::ready(72, 40);
    desk.type_words("why");
    assert_eq!(asked(desk.key(KeyCode::Enter)), "why");
    desk.shows(&["Reading the references, 0 s"]);
    let stats = Stats {
        time_to_first_token: Duration::from_millis(1500),
        reading: Duration::from_millis(1200),
        total: Duration::from_millis(6500),
        prompt_tokens: 600,
        tokens: 0,
        memory: Memory { rss_mib: 312.0, peak_mib: 388.0 },
    };
    let mut whole = Answer {
        readings_note: "Air 31.4 °C is too warm.".into(),
        dropped_references: 1,
        fallback: true,
        nearest_only: true,
        stats,
        ..answer("Water evenly. Keep pH at 5.8.")
    };
    // What another entry adds stands under its question, and each block is marked with the entry that it is from.
    let other = Reference { id: "gone".into(), title: "How often do I pick?".into() };
    whole.references.push(other.clone());
    whole.further = vec![Further { reference: other, citation: 2, sentences: vec!["Take off the fruit.".into()] }];
    whole.more = "Pick again on Monday.".into();
    let third = Reference { id: "e2".into(), title: "Why is it so warm?".into() };
    whole.references.push(third.clone());
    let says = Further { reference: third, citation: 3, sentences: vec!["Open the vents.".into()] };
    let on = Lang::En.say(&Msg::Advised(Quantity::AirTemperature.into(), Level::VeryHigh));
    whole.advice = vec![Advice { on, says }];
    desk.worker(done(whole));
    desk.shows(&["why", "Water evenly. Keep pH at 5.8. [1]  ", "For another question: How often do I pick?"]);
    desk.shows(&["Take off the fruit. [2]"]);
    desk.shows(&["More on this [1]", "Pick again on Monday."]);
    desk.shows(&["Your greenhouse when you asked, 0 s ago"]);
    desk.shows(&["Air temperature far above its range: what to do", "Open the vents. [3]"]);
    assert!(before(&desk, "Pick again", "Your greenhouse") && before(&desk, "Your greenhouse", "Open the vents"));
    desk.at(8 * 3600);
    desk.shows(&["Your greenhouse when you asked, 8 h ago"]);
    desk.shows(&["None of the reviewed entries clearly answers this."]);
    desk.shows(&["This is a whole reviewed entry", "Air 31.4 °C is too warm.", "1 reference(s) left out"]);
    desk.shows(&["[1] Why is the bottom of my tomatoes black?", "[2] How often do I pick?"]);
    let short = "first 1.5 s  total 6.5 s  500 tok/s  312 MiB (peak 388)";
    desk.shows(&["Ready", short]);
    desk.event(Event::Resize(100, 40));
    desk.shows(&["Ready", "first words 1.5 s  total 6.5 s  600 tokens read, 500/s  312 MiB (peak 388)"]);
    desk.event(Event::Resize(64, 57));
    desk.shows(&["Ready", short]);
    desk.event(Event::Resize(60, 20));
    desk.shows(&[short]);
    desk.hides(&["Ready", "R..."]);
    desk.key(KeyCode::F(5));
    // A question about nothing but the readings is answered by these first.
    desk.event(Event::Resize(64, 57));
    let readings_note = "Air 31.4 °C is too warm.".into();
    desk.worker(done(Answer { readings_note, readings_first: true, ..answer("Water evenly.") }));
    assert!(before(&desk, "Air 31.4", "Water evenly."));
    desk.key(KeyCode::F(5));
    // A refusal says why, and what can be read instead.
    for (why, words) in [
        (Why::OffTopic, "growing tomatoes in a greenhouse"),
        (Why::Unsafe, "so I give no answer"),
        (Why::Unanswerable, "This I cannot know"),
    ] {
        let nearest = vec![Reference { id: "e3".into(), title: "How do I keep bees safe?".into() }];
        let text = Lang::En.say(&Msg::Refusal(why));
        desk.worker(done(Answer { refused: Some(why), text, nearest, ..Answer::default() }));
        desk.shows(&["Sorry, I have no answer", words, "Reviewed entries that may help:", "How do I keep bees safe?"]);
        desk.hides(&["Based on these", "[1]"]);
        desk.key(KeyCode::F(5));
    }
}

#[test]
fn what_answers_most_directly_stands_out() {
    let mut desk = Desk::ready(72, 40);
    desk.type_words("why");
    desk.key(KeyCode::Enter);
    desk.worker(done(Answer { lead: 13, ..answer("Water evenly.\n\nKeep pH at 5.8.") }));
    let role = |words: &str| {
        let layout = Layout::new(&desk.app);
        let found = layout.visible().find(|(_, line)| line.text == words).map(|(_, line)| line.role);
        found.unwrap_or_else(|| panic!("{words:?}:\n{}", desk.screen()))
    };
    assert_eq!((role("Water evenly."), role("Keep pH at 5.8. [1]")), (Role::Strong, Role::Base));
    let screen = desk.screen();
    let between = screen.split_once("Water evenly.").unwrap().1.split_once("Keep pH").unwrap().0;
    assert_eq!(between.lines().count(), 3, "an empty line between them: {between:?}");
}

/// Whether `one` stands above `other` on the screen.
fn before(desk: &Desk, one: &str, other: &str) -> bool {
    let screen = desk.screen();
    let place = |words: &str| screen.find(words).unwrap_or_else(|| panic!("{words:?} is not on the screen:\n{screen}"));
    place(one) < place(other)
}

#[test]
fn a_long_answer_scrolls_to_its_last_line() {
    let mut desk = Desk::ready(72, 21);
    desk.type_words("why");
    desk.key(KeyCode::Enter);
    let text: String =
        (0..60).map(|at| format!("Sentence {at} of a long answer, which takes about a row of it. ")).collect();
    desk.worker(done(answer(&text)));
    desk.shows(&["Sentence 3 ", "more below"]);
    desk.hides(&["Sentence 59"]);
    desk.key(KeyCode::End);
    desk.shows(&["Why is the bottom"]);
    desk.hides(&["more below", "Sentence 3 "]);
    desk.key(KeyCode::PageUp);
    desk.shows(&["Sentence 50"]);
}

#[test]
fn the_mark_that_more_follows_covers_no_words() {
    for (width, height) in [SMALLEST, (72, 21), (80, 24)] {
        let mut desk = Desk::ready(width, height);
        desk.type_words("why");
        desk.key(KeyCode::Enter);
        // Lines that fill the page to its last column.
        let text: Vec<String> = (10..90).map(|at| format!("{at}{}", "x".repeat(usize::from(width) - 8))).collect();
        desk.worker(done(answer(&text.join(" "))));
        let mut seen = 0;
        loop {
            let (layout, screen) = (Layout::new(&desk.app), desk.screen());
            for (_, line) in layout.visible() {
                assert!(screen.contains(&line.text), "{:?} is not whole:\n{screen}", line.text);
            }
            assert_eq!(screen.contains("more below"), layout.first < layout.furthest(), "{screen}");
            seen = seen.max(layout.first + layout.visible().count());
            if layout.first == layout.furthest() {
                assert_eq!(seen, layout.lines.len(), "the last line is reached");
                break;
            }
            desk.key(KeyCode::PageDown);
            assert!(Layout::new(&desk.app).first <= seen, "no line is skipped");
        }
    }
}

#[test]
fn buttons_name_their_keys_at_every_size() {
    for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
        let mut desk = Desk::ready(width, height);
        // Enter chooses a tile unless something is typed.
        desk.hides(&["(Enter)", "(Esc)"]);
        desk.tap_on(Target::Category(Category::DiseaseManagement));
        named(&desk, Target::Back, &["Back", "(Esc)"]);
        desk.type_words("why");
        named(&desk, Target::Send, &["Ask", "(Enter)"]);
        desk.key(KeyCode::Enter);
        // Esc stops before it goes back.
        named(&desk, Target::Stop, &["Stop", "(Esc)"]);
        named(&desk, Target::Back, &["Back"]);
        desk.key(KeyCode::Esc);
        named(&desk, Target::Back, &["Back", "(Esc)"]);
        desk.worker(done(answer("Water evenly.")));
        named(&desk, Target::Again, &["Ask again", "(F5)"]);
        assert_eq!(asked(desk.key(KeyCode::F(5))), "why");
        assert!(desk.tap_on(Target::Stop).is_some(), "fingers stop too");
        desk.tap_on(Target::Back);
        assert_eq!(desk.app.place().page, Page::Questions(Category::DiseaseManagement));
    }
    fn named(desk: &Desk, target: Target, words: &[&str]) {
        let (area, buffer) = (desk.area_of(target).unwrap(), desk.buffer());
        let row = |y: u16| (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let rows: Vec<String> = (area.top()..area.bottom()).map(|y| row(y).trim().to_owned()).collect();
        // The name is in the middle, with a key below it or without.
        let wanted = ["", words[0], words.get(1).copied().unwrap_or_default()];
        assert_eq!(rows, wanted, "{target:?}:\n{}", desk.screen());
    }
}

#[test]
fn an_entry_shows_its_related_entries_below_its_sources() {
    let mut desk = Desk::ready(80, 40);
    desk.app.open(Page::Entry(0));
    desk.shows(&["Related entries (tap to read)", "Question number 3?"]);
    assert!(before(&desk, "Blossom-end rot (An extension)", "Related entries"));
    assert!([3, 20].iter().all(|index| desk.area_of(Target::Open(*index)).is_some_and(|area| area.height >= 3)));
    desk.app.entries[0].see_also.clear();
    desk.hides(&["Related entries"]);
}

#[test]
fn the_readings_page_names_every_quantity_with_its_reason() {
    let mut desk = Desk::ready(64, 57);
    desk.tap(Position { x: 4, y: 1 });
    desk.at(65);
    desk.shows(&["Judged for fruiting, by day.", "air temperature", "31.4 °C  HIGH", "Measured 1 min ago.", "Best: "]);
    desk.shows(&[
        "root temperature",
        "no answer",
        "check its cable",
        "humidity",
        "CO2",
        "light",
        "pH",
        "EC",
        "moisture",
        "daily light (DLI)",
        "Summed up from the light",
    ]);
    // Nothing is said of a dew point while the humidity is not known.
    desk.hides(&["dew point"]);
    desk.app.now.snapshot.set(Quantity::RelativeHumidity, Ok(Reading { value: 52.0, at: desk.app.now.clock }));
    desk.judge();
    desk.shows(&["dew point", "20.4 °C", "Whatever is as cold as this"]);
    let names = full(&desk.app.now.assessment, desk.app.now.clock, Lang::En).into_iter().map(|row| row.name);
    assert_eq!(names.take(4).collect::<Vec<_>>(), ["air temperature", "humidity", "dew point", "root temperature"]);
}

#[test]
fn the_cursor_stands_behind_what_is_typed_for_input_methods() {
    let mut desk = Desk::ready(72, 21);
    assert_eq!(desk.cursor(), None);
    desk.type_words("토마토");
    let input = desk.area_of(Target::Input).unwrap();
    let cursor = desk.cursor().unwrap();
    assert_eq!((cursor.x, cursor.y), (input.x + 2 + 6, input.y + 1), "three glyphs of two cells");
    desk.event(Event::Paste("토".repeat(300)));
    assert!(input.contains(desk.cursor().unwrap()));
    desk.shows(&["토토토"]);
}

#[test]
fn a_tiny_window_asks_for_a_larger_one() {
    for (width, height) in [(20, 6), (47, 40), (100, 15), (1, 1), (0, 0)] {
        let mut desk = Desk::ready(width, height);
        let screen = desk.screen().replace('\n', "");
        assert!(width < 20 || screen.contains("Please make the"), "{screen}");
        desk.tap(Position::ORIGIN);
        for code in [KeyCode::Down, KeyCode::Enter, KeyCode::PageDown, KeyCode::End, KeyCode::Tab, KeyCode::Esc] {
            desk.key(code);
            desk.screen();
        }
        desk.event(Event::Resize(72, 21));
        desk.shows(&["All readings", "Type your own question"]);
    }
}

#[test]
fn words_wrap_at_spaces_and_by_cells() {
    assert_eq!(wrap("water the plants", 9), ["water the", "plants"]);
    assert_eq!(wrap("a  b\n\n c", 9), ["a  b", "", " c"]);
    assert_eq!(wrap("토마토를 심다", 9), ["토마토를", "심다"]);
    assert_eq!(wrap("토마토를", 5), ["토마", "토를"]);
    assert_eq!(wrap("ab토", 3), ["ab", "토"]);
    assert_eq!(wrap("x\u{1b}[31m", 20), ["x [31m"]);
    assert_eq!(wrap("", 5), [""]);
    assert_eq!(wrap("👩‍🌾👩‍🌾", 3), ["👩‍🌾", "👩‍🌾"]);
    assert_eq!((fit("tomato", 6).as_str(), fit("tomatoes", 6).as_str()), ("tomato", "tom..."));
    assert_eq!(fit("토마토", 5), "토...");
    assert_eq!(fit("토마토", 2), "..");
}
