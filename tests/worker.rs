//! The answering thread with a scripted answerer: order, stop, failure, panic, end.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tomato_assistant::{
    answer::{Answer, Question},
    text::Lang,
    worker::{Answers, CRASHES, Event, Worker},
};

/// Says each letter it is sent through the channel, until that closes.
struct Letters(Receiver<String>);

impl Answers for Letters {
    fn answer(
        &mut self,
        question: &Question,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, String> {
        if question.text == "fail" {
            return Err("no answer".into());
        }
        let mut text = question.text.clone();
        for letter in self.0.iter().take_while(|letter| letter != "end") {
            text.push_str(&letter);
            if on_text(&letter).is_break() {
                return Ok(Answer { text, stopped: true, ..Answer::default() });
            }
        }
        Ok(Answer { text, ..Answer::default() })
    }
}

fn start() -> (Worker, Sender<String>) {
    let (letters, script) = channel();
    let mut script = Some(script);
    let mut worker = Worker::start(Lang::En, move || script.take().map(Letters).ok_or("opened twice".into()));
    assert!(matches!(next(&mut worker), Event::Ready));
    (worker, letters)
}

/// The next event; a bound of a minute instead of waiting for ever when the worker is broken.
fn next(worker: &mut Worker) -> Event {
    worker.next(Duration::from_secs(60)).expect("the worker says something")
}

fn ask(worker: &mut Worker, text: &str) {
    worker.ask(Question { text: text.into(), ..Question::default() });
}

fn done(worker: &mut Worker) -> Answer {
    match next(worker) {
        Event::Done(answer) => *answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_comes_in_order_and_then_the_answer() {
    let (mut worker, letters) = start();
    for letter in ["a", "", "b", "end", "end"] {
        letters.send(letter.into()).unwrap();
    }
    ask(&mut worker, "1");
    ask(&mut worker, "2");
    let texts: Vec<String> = (0..2)
        .map(|_| match next(&mut worker) {
            Event::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["a", "b"], "an empty piece is not passed on");
    assert_eq!(done(&mut worker).text, "1ab");
    assert_eq!(done(&mut worker).text, "2");
    assert!(worker.next(Duration::ZERO).is_none());
}

#[test]
fn stop_acts_at_the_next_piece_and_only_on_what_was_asked_before() {
    let (mut worker, letters) = start();
    ask(&mut worker, "1");
    letters.send("a".into()).unwrap();
    assert!(matches!(next(&mut worker), Event::Text(_)));
    ask(&mut worker, "2");
    worker.stop();
    ask(&mut worker, "3");
    for letter in ["b", "c", "d", "end"] {
        letters.send(letter.into()).unwrap();
    }
    let first = done(&mut worker);
    assert_eq!((first.text.as_str(), first.stopped), ("1ab", true));
    let second = done(&mut worker);
    assert_eq!((second.text.as_str(), second.stopped), ("2c", true));
    assert!(matches!(next(&mut worker), Event::Text(text) if text == "d"));
    let third = done(&mut worker);
    assert_eq!((third.text.as_str(), third.stopped), ("3d", false));
}

#[test]
fn a_failure_is_told_and_the_worker_goes_on() {
    let (mut worker, letters) = start();
    letters.send("end".into()).unwrap();
    ask(&mut worker, "fail");
    assert!(matches!(next(&mut worker), Event::Failed(words) if words == "no answer"));
    ask(&mut worker, "1");
    assert_eq!(done(&mut worker).text, "1");
}

/// Knows two words.
struct Fragile;

impl Answers for Fragile {
    fn answer(&mut self, question: &Question, _: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<Answer, String> {
        assert!(question.text != "panic", "scripted");
        Ok(Answer { text: question.text.clone(), ..Answer::default() })
    }
}

#[test]
fn after_a_panic_the_answerer_is_opened_anew_and_answers() {
    let opened = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&opened);
    let mut worker = Worker::start(Lang::En, move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Fragile)
    });
    assert!(matches!(next(&mut worker), Event::Ready));
    // Never so many in a row that it is given up, but more than that in all.
    for round in 1..=CRASHES {
        for _ in 1..CRASHES {
            ask(&mut worker, "panic");
            assert!(matches!(next(&mut worker), Event::Crashed(words) if words.contains("ask once more")));
            assert!(matches!(next(&mut worker), Event::Ready));
        }
        ask(&mut worker, "why");
        assert_eq!(done(&mut worker).text, "why");
        assert_eq!(opened.load(Ordering::SeqCst), 1 + round * (CRASHES - 1));
    }
}

#[test]
fn an_answerer_that_only_panics_is_given_up() {
    for at_once in [true, false] {
        let mut worker = Worker::start(Lang::En, move || {
            assert!(!at_once, "scripted");
            Ok(Fragile)
        });
        for _ in 1..CRASHES {
            if !at_once {
                assert!(matches!(next(&mut worker), Event::Ready));
                ask(&mut worker, "panic");
            }
            assert!(matches!(next(&mut worker), Event::Crashed(_)));
        }
        if !at_once {
            assert!(matches!(next(&mut worker), Event::Ready));
            ask(&mut worker, "panic");
        }
        assert!(matches!(next(&mut worker), Event::Gone(words) if words.contains("3 times in a row")));
        ask(&mut worker, "why");
        assert!(worker.next(Duration::from_secs(60)).is_none(), "the end is told once");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let mut worker = Worker::start(Lang::En, || Err::<Letters, _>("no bundle".into()));
    assert!(matches!(next(&mut worker), Event::Gone(words) if words == "no bundle"));
    assert!(worker.next(Duration::from_secs(60)).is_none());
}

#[test]
fn dropping_stops_the_answer_and_joins() {
    let (mut worker, letters) = start();
    ask(&mut worker, "1");
    // Never "end": only the stop mark can end this answer.
    let talk = std::thread::spawn(move || while letters.send("a".into()).is_ok() {});
    assert!(matches!(next(&mut worker), Event::Text(_)));
    drop(worker);
    talk.join().unwrap();
}

/// Opening reads the whole bundle: seconds, and on a failing memory card for ever.
#[test]
fn dropping_does_not_wait_for_one_that_is_still_opening() {
    let (card, answers) = channel::<()>();
    let (entered, opening) = channel();
    let worker = Worker::start(Lang::En, move || {
        entered.send(()).unwrap();
        let _ = answers.recv();
        Err::<Letters, _>("too late".into())
    });
    opening.recv().unwrap();
    let (dropped, left) = channel();
    std::thread::spawn(move || {
        drop(worker);
        dropped.send(()).unwrap();
    });
    left.recv_timeout(Duration::from_secs(20)).expect("the worker was left to itself");
    drop(card);
}

#[test]
fn one_that_crashes_while_nobody_listens_is_not_opened_again() {
    let opened = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&opened);
    let (card, answers) = channel::<()>();
    let (alive, ended) = channel::<()>();
    drop(Worker::start(Lang::En, move || -> Result<Fragile, String> {
        let _alive = &alive;
        count.fetch_add(1, Ordering::SeqCst);
        let _ = answers.recv();
        panic!("scripted")
    }));
    drop(card);
    // Nothing is ever sent: the channel closes with the end of the thread.
    assert!(ended.recv().is_err());
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}
