//! Sensors: SHT4x frames on a mock bus, the recorded day, and the poll loop with probes that fail, panic and hang.

use embedded_hal::i2c::{ErrorKind, I2c, NoAcknowledgeSource};
use embedded_hal_mock::eh1::{
    delay::NoopDelay,
    i2c::{Mock, Transaction},
};
use std::{
    path::Path,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};
use tomato_assistant::{
    climate::{NoData, Period, Quantity, Snapshot, vpd},
    config::Sensor,
    sensors::{Bus, Poller, Probe, Replay, ReplayError, SensorError, Sht4xProbe, open, poll},
    text::{Lang, Msg},
};

const AIR: Quantity = Quantity::AirTemperature;
const HUMIDITY: Quantity = Quantity::RelativeHumidity;
const HOUR: Duration = Duration::from_secs(3600);

/// CRC-8 of the datasheet: polynomial 0x31, start 0xFF. The datasheet's example: BE EF -> 92.
fn checksum(word: u16) -> u8 {
    word.to_be_bytes().into_iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 != 0 { (crc << 1) ^ 0x31 } else { crc << 1 })
    })
}

fn frame(temperature: u16, humidity: u16) -> Vec<u8> {
    let word = |word: u16| [word.to_be_bytes()[0], word.to_be_bytes()[1], checksum(word)];
    [word(temperature), word(humidity)].concat()
}

/// One measurement at 0x44 (command 0xFD, high precision) that answers with `answer`.
fn measurement(answer: Vec<u8>) -> [Transaction; 2] {
    [Transaction::write(0x44, vec![0xfd]), Transaction::read(0x44, answer)]
}

fn measure(answer: Vec<u8>) -> Snapshot {
    snapshot(&measurement(answer))
}

/// What fails, and fails again when it is tried once more.
fn failing(once: &[Transaction]) -> Snapshot {
    snapshot(&[once, once].concat())
}

fn snapshot(transactions: &[Transaction]) -> Snapshot {
    let mut probe = Sht4xProbe::new(Mock::new(transactions), sht4x::Address::Address0x44, NoopDelay::new());
    let snapshot = Mutex::new(Snapshot::default());
    poll(&mut probe, &snapshot);
    probe.into_bus().done();
    snapshot.into_inner().unwrap()
}

#[test]
fn sht4x_good_frame() {
    assert_eq!(checksum(0xbeef), 0x92);
    // Raw numbers by the datasheet: (25 + 45) / 175 and (56.5 + 6) / 125 of 65535.
    let good = measure(frame(0x6666, 0x8000));
    assert!((good.value(AIR).unwrap() - 25.0).abs() < 0.01, "{good:?}");
    assert!((good.value(HUMIDITY).unwrap() - 56.5).abs() < 0.01, "{good:?}");
}

#[test]
fn sht4x_wrong_checksum_is_no_number() {
    let mut answer = frame(0x6666, 0x8000);
    answer[5] ^= 1;
    let bad = failing(&measurement(answer.clone()));
    // The driver refuses the whole frame: a bus that garbles one word is not trusted with the other.
    for quantity in [AIR, HUMIDITY] {
        assert_eq!(bad.get(quantity), &Err(NoData::NotAnswering("wrong checksum".into())));
        // It is the wires that are to be looked at.
        let advice = Lang::En.say(&Msg::Advice(bad.get(quantity).as_ref().unwrap_err()));
        assert!(advice.contains("cable"), "{advice}");
    }
    // One bad frame is asked for again, and so is one that nobody acknowledged.
    let nack = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let unheard = [Transaction::write(0x44, vec![0xfd]).with_error(nack)];
    for first in [&measurement(answer)[..], &unheard] {
        let good = snapshot(&[first, &measurement(frame(0x6666, 0x8000))].concat());
        assert!(good.value(AIR).is_some() && good.value(HUMIDITY).is_some(), "{good:?}");
    }
}

#[test]
fn sht4x_that_nobody_answers_for() {
    let nack = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let absent = [Transaction::write(0x44, vec![0xfd]).with_error(nack)];
    let pulled = [Transaction::write(0x44, vec![0xfd]), Transaction::read(0x44, vec![0; 6]).with_error(nack)];
    for bad in [failing(&absent), failing(&pulled)] {
        assert!(matches!(bad.get(AIR), Err(NoData::NotAnswering(_))), "{bad:?}");
        assert!(matches!(bad.get(HUMIDITY), Err(NoData::NotAnswering(_))), "{bad:?}");
    }
}

#[test]
fn sht4x_all_ones_and_all_zeros_are_faults() {
    // An open data line reads as ones, and their checksum is wrong.
    let open = failing(&measurement(vec![0xff; 6]));
    assert!(matches!(open.get(AIR), Err(NoData::NotAnswering(_))));
    // Even with right checksums, 130 °C and 119 % cannot be, nor -45 °C and -6 %.
    for word in [0xffff, 0x0000] {
        let bad = measure(frame(word, word));
        assert!(matches!(bad.get(AIR), Err(NoData::Implausible(_))), "{bad:?}");
        assert!(matches!(bad.get(HUMIDITY), Err(NoData::Implausible(_))), "{bad:?}");
    }
}

#[test]
fn sht4x_one_value_out_of_range_leaves_the_other() {
    // 90 °C beside 56.5 %.
    let bad = measure(frame(50_555, 0x8000));
    assert!(matches!(bad.get(AIR), Err(NoData::Implausible(_))), "{bad:?}");
    assert!(bad.value(HUMIDITY).is_some());
}

#[test]
fn sht4x_overshoot_in_a_wet_night_is_saturation() {
    // 102.0 % and 105 %: within and beyond the tolerance of the part.
    assert_eq!(measure(frame(0x6666, 56_622)).value(HUMIDITY), Some(100.0));
    assert!(matches!(measure(frame(0x6666, 58_195)).get(HUMIDITY), Err(NoData::Implausible(_))));
}

#[test]
fn an_absent_bus_is_a_probe_that_does_not_answer() {
    let mut bus = Bus::new(251);
    assert!(bus.write(0x44, &[0xfd]).is_err());
    let mut probe = Sht4xProbe::new(bus, sht4x::Address::Address0x44, NoopDelay::new());
    match &probe.read()[0] {
        (AIR, Err(NoData::NotAnswering(why))) => assert!(why.contains("251"), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn day() -> Replay {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/greenhouse-day.csv");
    Replay::open(&file, 1.0, 0).unwrap()
}

#[test]
fn the_recorded_day_is_a_spring_day_under_glass() {
    let day = day();
    assert_eq!(day.quantities(), Quantity::ALL);
    let value = |minute, quantity: Quantity| day.at(minute)[quantity as usize].1.clone();
    let minutes = || (0..24 * 60).step_by(10);
    let mut blanks = 0;
    let mut peak = (0.0, 0);
    for minute in minutes() {
        for quantity in Quantity::ALL {
            match value(minute, quantity) {
                Ok(value) => assert!(quantity.is_plausible(value), "{minute} {}", quantity.name()),
                Err(_) => blanks += 1,
            }
        }
        if let (Ok(celsius), Ok(humidity)) = (value(minute, AIR), value(minute, HUMIDITY)) {
            let deficit = vpd::deficit(celsius, humidity);
            peak = if deficit > peak.0 { (deficit, minute) } else { peak };
        }
    }
    assert!((3..=20).contains(&blanks), "{blanks}");
    assert!((12 * 60..15 * 60).contains(&peak.1) && (1.3..2.0).contains(&peak.0), "{peak:?}");
    assert_eq!(value(3 * 60, Quantity::LightPpfd), Ok(0.0));
    assert!(value(13 * 60, Quantity::LightPpfd).unwrap() > 600.0);
    // The cold dip before dawn.
    let coldest = minutes().filter_map(|minute| value(minute, AIR).ok()).fold(99.0, f32::min);
    assert!((11.0..14.0).contains(&coldest), "{coldest}");
    assert!(value(60, AIR).unwrap() > 16.0);
}

#[test]
fn replay_holds_a_row_until_the_next_and_wraps_at_midnight() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.csv");
    std::fs::write(&file, "time,ec,ph\r\n06:00,3.0,\r\n18:30,3.5,6\r\n").unwrap();
    let replay = Replay::open(&file, 1.0, 0).unwrap();
    let nothing = || Err(NoData::NotAnswering("nothing recorded".into()));
    assert_eq!(replay.at(6 * 60), [(Quantity::Ec, Ok(3.0)), (Quantity::Ph, nothing())]);
    assert_eq!(replay.at(18 * 60 + 29), replay.at(6 * 60));
    assert_eq!(replay.at(18 * 60 + 30), [(Quantity::Ec, Ok(3.5)), (Quantity::Ph, Ok(6.0))]);
    assert_eq!(replay.at(0), replay.at(23 * 60));
    assert_eq!(replay.at(24 * 60 + 6 * 60), replay.at(6 * 60));
}

#[test]
fn a_malformed_replay_file_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.csv");
    for (text, words) in [
        ("", "line 1"),
        ("time\n", "line 1"),
        ("time,ec,salt\n", "substrate_moisture"),
        ("time,ec,ec\n", "line 1"),
        ("time,ec\n", "no line with readings"),
        ("time,ec\n00:00,3\n00:00,3\n", "line 3"),
        ("time,ec\n00:00,3\n24:00,3\n", "line 3"),
        ("time,ec\n00:00,3,4\n", "line 2"),
        ("time,ec\n\n00:00,three\n", "line 3"),
        ("time,ec\n00:00,NaN\n", "line 2"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Replay::open(&file, 1.0, 0).err().unwrap();
        let said = Lang::En.say(&Msg::SensorError(&SensorError::Replay(error)));
        assert!(said.contains(words) && said.contains("day.csv"), "{text:?}: {said}");
    }
    let absent = Replay::open(&folder.path().join("none.csv"), 1.0, 0).err().unwrap();
    assert!(matches!(absent, ReplayError::NotReadable(..)));
}

/// A recorded CO2 beside a real SHT4x is fine; a second SHT4x, or a recorded humidity, is not.
#[test]
fn two_sensors_may_not_measure_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let sht4x = |address| Sensor::Sht4x { bus: 251, address };
    let replay = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Sensor::Replay { file, speed: 1.0, start_hour: 0 }
    };
    let first = sht4x(sht4x::Address::Address0x44);
    let both = open(&[first.clone(), replay("co2.csv", "time,co2\n00:00,800\n")]).unwrap();
    assert_eq!((both[0].quantities(), both[1].quantities()), (vec![AIR, HUMIDITY], vec![Quantity::Co2]));
    for (second, words) in [
        (sht4x(sht4x::Address::Address0x45), ["air temperature", "sht4x at 0x44; sht4x at 0x45"]),
        (replay("air.csv", "time,co2,relative_humidity\n00:00,800,70\n"), ["humidity", "sht4x at 0x44; replay"]),
    ] {
        let said = Lang::En.say(&Msg::SensorError(&open(&[first.clone(), second]).err().unwrap()));
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
    }
}

type Answers = Vec<(Quantity, Result<f32, NoData>)>;

/// A probe of the test: what it measures and what it does when it is read.
struct Scripted(Vec<Quantity>, Box<dyn FnMut() -> Answers + Send>);

impl Probe for Scripted {
    fn name(&self) -> String {
        "scripted".into()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.0.clone()
    }

    fn read(&mut self) -> Answers {
        (self.1)()
    }
}

fn scripted(quantity: Quantity, read: impl FnMut() -> Answers + Send + 'static) -> Box<dyn Probe> {
    Box::new(Scripted(vec![quantity], Box::new(read)))
}

/// Waits until `done`; the test program's own time limit is the only one.
fn until(poller: &Poller, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
    loop {
        let snapshot = poller.snapshot();
        if done(&snapshot) {
            return snapshot;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_probe_that_hangs_or_panics_does_not_take_the_others_down() {
    let (release, hanging) = mpsc::channel::<()>();
    let probes = vec![
        scripted(Quantity::Ph, || panic!("a broken driver (this panic belongs to the test)")),
        scripted(Quantity::Co2, move || {
            let _ = hanging.recv();
            Vec::new()
        }),
        scripted(Quantity::Ec, || vec![(Quantity::Ec, Ok(3.0))]),
    ];
    let poller = Poller::start(probes, HOUR, HOUR).unwrap();
    let failed =
        |snapshot: &Snapshot| snapshot.get(Quantity::Ph) == &Err(NoData::NotAnswering("the driver failed".into()));
    let seen = until(&poller, |snapshot| snapshot.value(Quantity::Ec).is_some() && failed(snapshot));
    assert_eq!(seen.get(Quantity::Co2), &Err(NoData::NotAnswering("not read yet".into())));
    assert_eq!(seen.get(AIR), &Err(NoData::NotConfigured));
    // Dropping gives the hanging probe up instead of waiting for ever.
    drop(poller);
    drop(release);
}

#[test]
fn a_probe_that_panicked_is_asked_again() {
    let mut turn = 0;
    let probe = scripted(Quantity::Ec, move || {
        turn += 1;
        assert!(turn > 1, "the first reading fails (this panic belongs to the test)");
        vec![(Quantity::Ec, Ok(3.0))]
    });
    let poller = Poller::start(vec![probe], Duration::from_millis(1), HOUR).unwrap();
    until(&poller, |snapshot| snapshot.value(Quantity::Ec) == Some(3.0));
}

/// Its second reading is good, all others fail: the good one is shown until it is old, then the fault.
#[test]
fn one_good_reading_among_failing_ones_is_shown_while_it_is_fresh() {
    let mut turn = 0;
    let probe = scripted(Quantity::Ec, move || {
        turn += 1;
        vec![(Quantity::Ec, if turn == 2 { Ok(3.0) } else { Err(NoData::NotAnswering("NACK".into())) })]
    });
    let poller = Poller::start(vec![probe], Duration::from_millis(1), Duration::from_millis(300)).unwrap();
    let shown = until(&poller, |snapshot| snapshot.value(Quantity::Ec).is_some());
    std::thread::sleep(Duration::from_millis(20));
    // Polled some more by now, in vain; unless this thread slept much longer, when nothing can be told.
    let seen = poller.snapshot();
    if shown.age(Quantity::Ec, std::time::SystemTime::now()).unwrap() < Duration::from_millis(250) {
        assert_eq!(seen.value(Quantity::Ec), Some(3.0));
    }
    until(&poller, |snapshot| matches!(snapshot.get(Quantity::Ec), Err(NoData::NotAnswering(_))));
}

#[test]
fn readings_that_are_not_renewed_expire() {
    let mut first = true;
    let (release, hanging) = mpsc::channel::<()>();
    let probe = scripted(Quantity::Ec, move || {
        if !std::mem::take(&mut first) {
            let _ = hanging.recv();
        }
        vec![(Quantity::Ec, Ok(3.0))]
    });
    let poller = Poller::start(vec![probe], Duration::from_millis(1), Duration::from_millis(40)).unwrap();
    let seen = until(&poller, |snapshot| snapshot.get(Quantity::Ec) == &Err(NoData::Stale));
    assert!(seen.last_good(Quantity::Ec).is_some());
    drop(release);
}

#[test]
fn dropping_the_poller_stops_its_probes_at_once() {
    let (gone, ended) = mpsc::channel::<()>();
    let probe = scripted(Quantity::Ec, move || {
        let _held_until_the_thread_ends = &gone;
        vec![(Quantity::Ec, Ok(3.0))]
    });
    let poller = Poller::start(vec![probe], HOUR, HOUR).unwrap();
    until(&poller, |snapshot| snapshot.value(Quantity::Ec).is_some());
    let began = Instant::now();
    drop(poller);
    // The probe was dropped with its thread, long before the interval of an hour ended.
    assert_eq!(ended.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert!(began.elapsed() < HOUR);
}

#[test]
fn a_probe_that_forgets_or_answers_nonsense_gives_no_number() {
    let snapshot = Mutex::new(Snapshot::default());
    let answers = vec![(Quantity::Ec, Ok(f32::NAN)), (HUMIDITY, Ok(50.0))];
    let mut probe = Scripted(vec![Quantity::Ec, Quantity::Ph], Box::new(move || answers.clone()));
    poll(&mut probe, &snapshot);
    let snapshot = snapshot.into_inner().unwrap();
    assert!(matches!(snapshot.get(Quantity::Ec), Err(NoData::Implausible(_))));
    assert!(matches!(snapshot.get(Quantity::Ph), Err(NoData::NotAnswering(_))));
    // Not asked for, so another probe may own it.
    assert_eq!(snapshot.get(HUMIDITY), &Err(NoData::NotConfigured));
}

#[test]
fn the_demo_config_plays_the_recorded_day() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/demo.toml");
    let config = tomato_assistant::config::Config::load(&demo).unwrap();
    let poller = Poller::start(open(&config.sensors).unwrap(), config.poll, config.stale_after).unwrap();
    // It begins at five in the morning.
    let seen = until(&poller, |snapshot| snapshot.value(Quantity::LightPpfd).is_some());
    assert_eq!(Period::of(&seen), Period::Night);
    assert!(seen.value(AIR).unwrap() < 14.0);
}
