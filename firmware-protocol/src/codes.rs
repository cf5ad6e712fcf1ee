//! Codes on the wire: small numbers with names.
//!
//! Invariant: a code never changes its meaning, and one that is not known yet is kept as it came, so that neither side
//! refuses what the other learnt later.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $repr:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A code that this version does not know.
            Other($repr),
        }

        impl $name {
            /// Every one that this version knows, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number on the wire.
            pub fn code(self) -> $repr {
                match self { $(Self::$variant => $code,)* Self::Other(code) => code }
            }

            /// The one that `code` stands for.
            pub fn from_code(code: $repr) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Other(other) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.code().serialize(to)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $repr::deserialize(from).map(Self::from_code)
            }
        }
    )*};
}

codes! {
    /// A measured number, with its unit in its name. Codes from 1 to 99 are numbers.
    Measure: u8 {
        /// Air, milk or tank temperature, thousandths of a degree Celsius.
        TemperatureMilliCelsius = 1,
        /// Relative humidity, thousandths of a percent.
        HumidityMilliPercent = 2,
        /// Fill level, thousandths of a percent.
        LevelMilliPercent = 3,
        /// Distance to the surface, millimetres.
        DistanceMillimetre = 4,
        /// Milk flow, millilitres per minute.
        FlowMillilitrePerMinute = 5,
        /// Running total of a milk meter, millilitres; it may restart.
        TotalMillilitre = 6,
        /// Milk of the visit under way, millilitres.
        VisitYieldMillilitre = 7,
        /// Visits that the meter has counted.
        VisitCount = 8,
        /// Milk of the visit before this one, millilitres.
        LastYieldMillilitre = 9,
        /// Electrical conductivity at 25 °C, microsiemens per centimetre.
        ConductivityMicrosiemensPerCm = 10,
        /// Milk fat, thousandths of a percent.
        FatMilliPercent = 11,
        /// Solids not fat, thousandths of a percent.
        SnfMilliPercent = 12,
        /// Milk protein, thousandths of a percent.
        ProteinMilliPercent = 13,
        /// Gas pressure over ambient, pascal.
        PressurePascal = 14,
        /// Gas flow, litres per hour.
        GasFlowLitrePerHour = 15,
        /// Methane, thousandths of a percent.
        MethaneMilliPercent = 16,
        /// Carbon dioxide, thousandths of a percent.
        CarbonDioxideMilliPercent = 17,
        /// Activity: steps since the reading of this kind before.
        Steps = 18,
        /// Minutes of rumination since the reading of this kind before.
        RuminationMinute = 19,
        /// Battery voltage, millivolts.
        BatteryMillivolt = 20,
        /// Body weight, grams.
        WeightGram = 21,
        /// Radio signal strength, dBm.
        SignalDbm = 22,
        /// Vacuum under ambient, pascal.
        VacuumPascal = 23,
        /// Electrical power, watts.
        PowerWatt = 24,
        /// Electrical energy, watt hours.
        EnergyWattHour = 25,
        /// Running count of a pulse output; it may restart.
        Pulses = 26,
    }

    /// How far a reading can be trusted; two bits.
    Quality: u8 {
        /// As measured.
        Good = 0,
        /// True once, but old.
        Stale = 1,
        /// Measured, and not to be believed.
        Bad = 2,
        /// Should have been measured, and was not: the value says nothing.
        Missing = 3,
    }

    /// What is wrong with a reading that is not good; six bits.
    Flaw: u8 {
        /// Not told.
        None = 0,
        /// Outside what physics allows.
        OutOfPhysics = 1,
        /// The sensor's checksum did not match.
        Checksum = 2,
        /// A DS18B20 that said 85 °C because it had just been powered.
        PowerOnReset = 3,
        /// The sensor's bus was held low.
        BusLow = 4,
        /// Nobody answered on the sensor's bus.
        BusHigh = 5,
        /// The sensor's word for "no number".
        NotANumber = 6,
        /// The sensor says that it is faulty.
        DeviceFault = 7,
        /// The sensor is warming up.
        NotReady = 8,
        /// The sensor did not answer in time.
        Timeout = 9,
        /// The sensor's answer made no sense.
        Malformed = 10,
        /// The sensor refused.
        Exception = 11,
        /// The sensor is gone.
        Disconnected = 12,
        /// The same value for too long.
        Stuck = 13,
        /// A jump too large to be true.
        Jump = 14,
        /// The sensor had not finished.
        Converting = 15,
        /// A counter that went back.
        CounterReset = 16,
    }

    /// How well a wall time is known.
    ClockQuality: u8 {
        /// Not at all.
        Unknown = 0,
        /// Taken up after an outage: not earlier than the truth by more than the outage.
        Restored = 1,
        /// Told by a person.
        Told = 2,
        /// Synchronised.
        Synced = 3,
    }

    /// Why a node started.
    ResetReason: u8 {
        /// It can't say.
        Unknown = 0,
        /// Power came.
        PowerOn = 1,
        /// The supply sagged.
        BrownOut = 2,
        /// A watchdog bit.
        Watchdog = 3,
        /// The program failed.
        Panic = 4,
        /// It was told to.
        Command = 5,
        /// To try another firmware.
        Update = 6,
        /// Deep sleep ended and what it knew was lost.
        DeepSleep = 7,
        /// Somebody pressed its button.
        Button = 8,
    }

    /// What a node is told to do; what `channel` and `value` mean is told with each.
    Action: u8 {
        /// Show which one it is: blink for `value` seconds.
        Identify = 1,
        /// Restart.
        Restart = 2,
        /// Measure at once; on all channels when `channel` is 255.
        ReadNow = 3,
        /// Send what is in flash at once.
        SendNow = 4,
        /// `channel` reads `value` now, in the unit of its measure: correct it from here on.
        Calibrate = 5,
        /// Switch output `channel` on for `value` milliseconds; 0 switches it off.
        SwitchOn = 6,
    }

    /// What became of a command or a configuration.
    Outcome: u8 {
        /// Done.
        Done = 0,
        /// This node does not know how.
        Unsupported = 1,
        /// The value is out of bounds.
        Refused = 2,
        /// Tried, and failed.
        Failed = 3,
    }

    /// A setting of a node; its value is an integer in the unit of its name.
    Setting: u16 {
        /// Between measurements.
        SampleEveryS = 1,
        /// Between transmissions of what has gathered; 0 sends each batch at once.
        SendEveryS = 2,
        /// Between greetings of a node that has nothing else to tell.
        HelloEveryS = 3,
        /// Between time requests.
        TimeEveryS = 4,
        /// Before a frame that was not answered is sent again for the first time.
        RetryAfterS = 5,
        /// A change by this many thousandths is told at once, without waiting for the next measurement due.
        TellChangeMilli = 6,
    }

    /// How far an update is.
    UpdateState: u8 {
        /// Nothing of it is there.
        Idle = 0,
        /// Chunks are being fetched.
        Fetching = 1,
        /// All chunks are there, hash and signature are right.
        Verified = 2,
        /// The node runs it and has not yet found itself healthy.
        Trying = 3,
        /// The node runs it for good.
        Confirmed = 4,
        /// The node went back to what it ran before.
        RolledBack = 5,
        /// Refused: hash or signature are wrong, or it is for other hardware.
        Refused = 6,
        /// Flash could not be written.
        Failed = 7,
    }
}
