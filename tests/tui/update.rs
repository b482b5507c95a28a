//! What keys, taps and the worker do to the state.

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use tomato_assistant::{
    answer::LONGEST_QUESTION,
    knowledge::Category,
    tui::app::{Action, Event, Page, Target},
    worker,
};

use super::desk::{Desk, HANGUL, answer, asked, done};

#[test]
fn two_taps_ask_a_curated_question() {
    let mut desk = Desk::ready(72, 21);
    assert!(desk.tap_on(Target::Category(Category::NutritionGrowth)).is_none());
    assert_eq!(desk.app.place().page, Page::Questions(Category::NutritionGrowth));
    let Some(Action::Ask(question)) = desk.tap_on(Target::Ask(21)) else { panic!("the tap asks") };
    assert_eq!((question.text.as_str(), question.category), (HANGUL, Some(Category::NutritionGrowth)));
    assert_eq!(question.snapshot, desk.app.now.snapshot, "the greenhouse goes with the question");
}

#[test]
fn arrows_and_enter_ask_too() {
    let mut desk = Desk::ready(72, 21);
    desk.key(KeyCode::Right);
    desk.key(KeyCode::Enter);
    assert_eq!(desk.app.place().page, Page::Questions(Category::EnvironmentalControl));
    for _ in 0..5 {
        desk.key(KeyCode::Down);
    }
    assert_eq!(asked(desk.key(KeyCode::Enter)), "Question number 15?");
}

#[test]
fn letters_typed_anywhere_are_a_question_and_are_normalized() {
    let mut desk = Desk::ready(72, 21);
    desk.type_words("\u{1112}\u{1161}\u{11ab} cafe\u{301}? ");
    assert_eq!(asked(desk.key(KeyCode::Enter)), "한 café?");
    assert!(desk.app.input.is_empty());
}

#[test]
fn slash_opens_the_input_line_and_tab_leads_around() {
    let mut desk = Desk::ready(72, 21);
    desk.key(KeyCode::Char('/'));
    assert!(desk.app.typing && desk.app.input.is_empty());
    desk.key(KeyCode::Tab);
    assert!(!desk.app.typing);
    desk.key(KeyCode::BackTab);
    assert!(desk.app.typing);
    desk.key(KeyCode::Esc);
    assert!(!desk.app.typing);
}

#[test]
fn keys_edit_the_line() {
    let mut desk = Desk::ready(72, 21);
    desk.type_words("pH of 토마토 soil");
    for _ in 0..5 {
        desk.key(KeyCode::Backspace);
    }
    desk.key(KeyCode::Home);
    desk.key(KeyCode::Delete);
    desk.key(KeyCode::Right);
    desk.key(KeyCode::Char('!'));
    assert_eq!(desk.app.typed(), "H! of 토마토");
    desk.key(KeyCode::End);
    desk.control('w');
    assert_eq!(desk.app.typed(), "H! of ");
    desk.control('u');
    assert_eq!(desk.app.typed(), "");
}

#[test]
fn pasted_text_becomes_one_clean_line_of_bounded_length() {
    let mut desk = Desk::ready(72, 21);
    desk.event(Event::Paste("why\r\nis\tit \u{7}black\u{1b}[31m?".into()));
    assert_eq!(desk.app.typed(), "why  is it  black [31m?");
    desk.event(Event::Paste("토".repeat(100_000)));
    assert_eq!(desk.app.typed().chars().count(), LONGEST_QUESTION);
    desk.shows(&["The text was cut"]);
}

#[test]
fn an_empty_question_is_explained() {
    let mut desk = Desk::ready(72, 21);
    assert!(desk.tap_on(Target::Send).is_none());
    desk.shows(&["Please type a question first."]);
    desk.type_words("  ");
    assert!(desk.key(KeyCode::Enter).is_none());
    desk.shows(&["Please type a question first."]);
}

#[test]
fn a_question_asked_while_loading_waits_and_its_entry_can_be_read() {
    let mut desk = Desk::new(72, 21);
    desk.tap_on(Target::Category(Category::DiseaseManagement));
    assert!(desk.tap_on(Target::Ask(0)).is_none());
    desk.shows(&["still loading"]);
    desk.tap_on(Target::Open(0));
    desk.shows(&["Water evenly", "Blossom-end rot (An extension)"]);
    assert_eq!(asked(desk.worker(worker::Event::Ready)), "Why is the bottom of my tomatoes black?");
    desk.key(KeyCode::Esc);
    assert_eq!(desk.app.place().page, Page::Answer);
}

#[test]
fn words_stream_in_and_the_finished_answer_replaces_them() {
    let mut desk = asking();
    desk.at(2);
    desk.text("Calcium ");
    desk.text("is scarce");
    desk.shows(&["Calcium is scarce", "first word 2.0 s", "Stop"]);
    desk.worker(done(answer("Water evenly.")));
    desk.shows(&["Water evenly.", "Ask again", "Why is the bottom"]);
    desk.hides(&["Calcium is scarce"]);
}

#[test]
fn escape_stops_first_then_goes_back() {
    let mut desk = asking();
    desk.text("Calcium");
    assert!(matches!(desk.key(KeyCode::Esc), Some(Action::Stop)));
    desk.shows(&["Stopping", "Calcium"]);
    desk.worker(done(tomato_assistant::answer::Answer { stopped: true, ..answer("Calcium") }));
    desk.shows(&["Stopped.", "Ask again"]);
    assert!(desk.key(KeyCode::Esc).is_none());
    assert_eq!(desk.app.place().page, Page::Home);
}

#[test]
fn the_stop_button_stops() {
    let mut desk = asking();
    assert!(matches!(desk.tap_on(Target::Stop), Some(Action::Stop)));
}

#[test]
fn leaving_gives_the_answer_up_and_a_new_question_waits_for_its_end() {
    let mut desk = asking();
    desk.text("old words");
    assert!(matches!(desk.tap_on(Target::Back), Some(Action::Stop)));
    desk.type_words("new");
    assert!(matches!(desk.key(KeyCode::Enter), Some(Action::Stop)), "the old one must stop first");
    desk.text("old words");
    assert_eq!(asked(desk.worker(done(answer("old words")))), "new");
    desk.hides(&["old words"]);
    desk.text("fresh");
    desk.shows(&["fresh"]);
}

#[test]
fn asking_again_asks_the_same() {
    let mut desk = asking();
    assert!(desk.key(KeyCode::F(5)).is_none(), "not while it is still answering");
    desk.worker(done(answer("Water evenly.")));
    assert_eq!(asked(desk.tap_on(Target::Again)), "why");
    desk.worker(done(answer("Water evenly.")));
    assert_eq!(asked(desk.key(KeyCode::F(5))), "why");
    assert_eq!(desk.app.places.len(), 2, "Home and Answer");
}

#[test]
fn a_failure_is_shown_and_the_next_question_is_taken() {
    let mut desk = asking();
    desk.worker(worker::Event::Failed("The bundle is damaged.".into()));
    desk.shows(&["The bundle is damaged."]);
    assert_eq!(asked(desk.key(KeyCode::F(5))), "why");
}

#[test]
fn when_the_worker_is_gone_questions_are_refused_but_entries_are_not() {
    for mut desk in [asking(), Desk::new(72, 21)] {
        desk.worker(worker::Event::Gone("Install it again.".into()));
        desk.shows(&["Out of order"]);
        desk.key(KeyCode::Esc);
        // Why is not said once and lost: every question is told.
        for _ in 0..2 {
            desk.tap_on(Target::Category(Category::Troubleshooting));
            assert!(desk.tap_on(Target::Ask(40)).is_none());
            desk.shows(&["Install it again.", "No question can be answered until this is put right."]);
            desk.shows(&["Out of order", "air 31.4 °C"]);
            desk.tap_on(Target::Open(40));
            desk.shows(&["Reviewed entry", "Water evenly"]);
            (0..3).for_each(|_| drop(desk.key(KeyCode::Esc)));
        }
        desk.type_words("why");
        assert!(desk.key(KeyCode::Enter).is_none());
        desk.shows(&["Install it again."]);
    }
}

#[test]
fn after_a_crash_the_question_has_failed_and_the_next_waits_for_the_loading() {
    let mut desk = asking();
    desk.at(5);
    desk.worker(worker::Event::Crashed("Ask once more.".into()));
    desk.at(7);
    desk.shows(&["Ask once more.", "loading the assistant, 2 s"]);
    assert!(desk.key(KeyCode::F(5)).is_none());
    desk.shows(&["still loading"]);
    assert_eq!(asked(desk.worker(worker::Event::Ready)), "why");
}

#[test]
fn a_drag_scrolls_and_never_asks() {
    let mut desk = Desk::ready(72, 21);
    desk.tap_on(Target::Category(Category::DiseaseManagement));
    assert!(desk.drag(14, 8).is_none());
    assert_eq!((desk.app.place().page, desk.app.place().scroll), (Page::Questions(Category::DiseaseManagement), 6));
    desk.mouse(MouseEventKind::ScrollUp, 30, 10);
    assert_eq!(desk.app.place().scroll, 3);
    desk.mouse(MouseEventKind::Down(MouseButton::Left), 30, 10);
    assert!(desk.mouse(MouseEventKind::Up(MouseButton::Left), 30, 16).is_none(), "lifted elsewhere");
    desk.key(KeyCode::End);
    desk.shows(&["Question number 9?"]);
    desk.key(KeyCode::Home);
    desk.shows(&["Why is the bottom"]);
    desk.key(KeyCode::PageDown);
    assert!(matches!(desk.app.place().focus, Some(Target::Ask(1..10))));
}

#[test]
fn a_reference_opens_its_entry() {
    let mut desk = asking();
    desk.worker(done(answer("Water evenly.")));
    desk.key(KeyCode::Tab);
    desk.key(KeyCode::Enter);
    assert_eq!(desk.app.place().page, Page::Entry(0));
    desk.key(KeyCode::Left);
    assert_eq!(desk.app.place().page, Page::Answer);
}

#[test]
fn related_entries_open_by_tap_and_key_and_back_returns() {
    let mut desk = asking();
    desk.worker(done(answer("Water evenly.")));
    desk.tap_on(Target::Open(0));
    desk.key(KeyCode::Tab);
    desk.key(KeyCode::Enter);
    assert_eq!(desk.app.place().page, Page::Entry(3));
    desk.key(KeyCode::End);
    desk.tap_on(Target::Open(23));
    assert_eq!(desk.app.place().page, Page::Entry(23));
    for page in [Page::Entry(3), Page::Entry(0), Page::Answer] {
        desk.tap_on(Target::Back);
        assert_eq!(desk.app.place().page, page);
    }
}

#[test]
fn everything_is_painted_anew_once_a_minute_and_on_ctrl_l() {
    let mut desk = Desk::ready(72, 21);
    assert!(desk.at(59).is_none());
    assert!(matches!(desk.at(60), Some(Action::Repaint)));
    assert!(desk.at(61).is_none());
    desk.type_words("why");
    assert!(matches!(desk.control('l'), Some(Action::Repaint)));
    assert_eq!(desk.app.typed(), "why", "the key types nothing");
    assert!(desk.at(120).is_none(), "a minute from then on");
    assert!(matches!(desk.at(121), Some(Action::Repaint)));
}

#[test]
fn the_keyboard_can_leave_the_app() {
    for key in ['c', 'q'] {
        assert!(matches!(Desk::ready(72, 21).control(key), Some(Action::Quit)));
    }
}

/// A desk that has asked "why" and waits.
fn asking() -> Desk {
    let mut desk = Desk::ready(72, 21);
    desk.type_words("why");
    assert_eq!(asked(desk.key(KeyCode::Enter)), "why");
    desk
}
