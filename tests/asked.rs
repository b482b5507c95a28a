//! Which questions the readings alone may answer: those of which no word asks for anything else.

use tomato_assistant::{
    climate::{Measure, Quantity},
    text::Lang,
};

/// What a question for the state asks about; None where it asks for more.
fn asked(question: &str) -> Option<Vec<Measure>> {
    Lang::En.state_asked(question)
}

#[test]
fn what_no_reading_can_tell_is_not_called_good() {
    for question in [
        "Is there a fire in the greenhouse?",
        "Is it safe to go into the greenhouse now?",
        "Is the air safe to breathe in the greenhouse right now?",
        "Is there too much gas in the greenhouse right now?",
        "Do my tomatoes have any disease right now?",
        "Are my plants healthy right now?",
        "Do the plants have enough water right now?",
        "Is the tank full right now?",
        "Are the vents open?",
        "Is it too windy outside?",
        "Is the greenhouse flooded?",
        "Is everything ok with the burner?",
        "Is it ok to stay in here right now?",
        "can we be inside now",
        "What was the EC last night?",
        "is it cold outside",
        "How do I get the humidity lower?",
        "can we get the EC lower now",
        "should I open up tonight?",
        "Is the heat on?",
        "Are the lights on?",
        "Will it get cold tonight?",
        "I don't feel well in here, is it the CO2?",
        "Is the air in here good enough for us?",
        "Is 5000 ppm too much?",
        "Is pH 4 too low?",
        "Is house 2 ok?",
        "Have we had any trouble since Friday?",
        "Are the roots in good condition?",
        "Are the roots ok?",
        "Is my wife ok in there?",
        "Is it colder than this morning?",
        "What EC is too high?",
        "why is it so humid in here",
        "how do I get the humidity down tonight",
    ] {
        assert_eq!(asked(question), None, "{question}");
    }
}

#[test]
fn the_whole_greenhouse_or_what_is_named_is_asked_about() {
    for question in [
        "Is everything OK in the greenhouse tonight?",
        "how's it looking in there",
        "climate status pls",
        "Are all the readings ok right now?",
        "what do the sensors say",
        "anything wrong inside?",
    ] {
        assert_eq!(asked(question), Some(Vec::new()), "{question}");
    }
    let read = Measure::Read;
    for (question, measures) in [
        ("Is CO2 ok right now?", vec![read(Quantity::Co2)]),
        ("whats the EC at the moment", vec![read(Quantity::Ec)]),
        ("root zone warm enough right now?", vec![read(Quantity::RootTemperature)]),
        ("too cold in here?", vec![read(Quantity::AirTemperature)]),
        ("Is it too dark in here?", vec![read(Quantity::LightPpfd), read(Quantity::Dli)]),
        ("Is the slab ok now?", vec![read(Quantity::SubstrateMoisture)]),
        ("temp ok now?", vec![read(Quantity::AirTemperature)]),
        ("root zone temp ok?", vec![read(Quantity::RootTemperature)]),
        ("pH reading?", vec![read(Quantity::Ph)]),
        ("what does the CO2 sensor say", vec![read(Quantity::Co2)]),
        ("can I see the humidity?", vec![read(Quantity::RelativeHumidity)]),
        ("are the roots too cold?", vec![read(Quantity::RootTemperature)]),
        (
            "root temperature and air temperature, are they both fine now?",
            vec![read(Quantity::AirTemperature), read(Quantity::RootTemperature)],
        ),
    ] {
        assert_eq!(asked(question), Some(measures), "{question}");
    }
}
