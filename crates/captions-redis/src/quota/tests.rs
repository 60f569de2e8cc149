use std::time::Duration;

use captions_domain::quota::{Amount, Correction, Meter, Unit, Window};
use captions_testkit::redis::{prefix, shared};

use super::*;

/// Numbers without a pattern that anybody would see.
struct Dice(u64);

impl Dice {
    /// Below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn plan(&mut self) -> Plan {
        let windows = 1 + self.roll(3);
        Plan::new((0..windows).map(|_| {
            let unit = if self.roll(2) == 0 {
                Unit::Requests
            } else {
                Unit::Tokens
            };
            let limit = [1, 7, 60, 1000, 100_000, 45_000_000][usize::try_from(self.roll(6)).unwrap()];
            let per = [1, 1000, 60_000, 3_600_000, 31 * 24 * 3_600_000][usize::try_from(self.roll(5)).unwrap()];
            Window::new(unit, limit, Duration::from_millis(per))
        }))
    }

    fn amount(&mut self) -> Amount {
        let most = [1, 2, 100, 100_000][usize::try_from(self.roll(4)).unwrap()];
        Amount {
            requests: self.roll(3),
            tokens: self.roll(most),
        }
    }

    fn take(&mut self) -> Take {
        let correction = if self.roll(4) == 0 {
            Correction::of(self.amount(), self.amount())
        } else {
            Correction::default()
        };
        Take {
            amount: self.amount(),
            patience: Duration::from_micros(self.roll(2) * self.roll(10_000_000)),
            correction,
        }
    }
}

/// The script with the time told to it, and without an expiry that real time could bring about.
fn with_a_told_time() -> Script {
    let told = TAKE
        .replace("redis.call('TIME')", "{ ARGV[#ARGV - 1], ARGV[#ARGV] }")
        .replace("(#ARGV - 1) / 4", "(#ARGV - 3) / 4")
        .replace("math.floor((last - now) / 1000) + 1", "3600000");
    assert!(!told.contains("TIME") && told.contains("#ARGV - 3") && told.contains("3600000"));
    Script::new(&told)
}

/// 4,000 histories of a dozen decisions each, on the server and here.
#[tokio::test]
async fn the_script_decides_exactly_like_the_meter() {
    let client = redis::Client::open(shared().url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let script = with_a_told_time();
    script.prepare_invoke().load_async(&mut connection).await.unwrap();
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let prefix = prefix();

    for batch in 0..40 {
        let mut expected = Vec::new();
        let mut commands = redis::pipe();
        for history in 0..100 {
            let (plan, mut meter) = (dice.plan(), Meter::default());
            let mut now = 1_800_000_000_000_000 + dice.roll(1_000_000_000);
            for _ in 0..12 {
                now += [0, 0, 1, 1000, 1_000_000, 60_000_000][usize::try_from(dice.roll(6)).unwrap()] * dice.roll(9);
                let take = dice.take();
                let costs = plan.costs(&take);
                let mut call = script.key(format!("{prefix}:{batch}:{history}"));
                call.arg(patience(&take));
                for cost in &costs {
                    call.arg(cost.capacity).arg(cost.cost).arg(cost.refund).arg(cost.charge);
                }
                call.arg(now / 1_000_000).arg(now % 1_000_000);
                commands.invoke_script(&call);
                expected.push((meter.take(&plan, &take, now), plan.clone(), costs, take));
            }
        }
        let answers: Vec<Vec<u64>> = commands.query_async(&mut connection).await.unwrap();

        for (answer, (expected, plan, costs, take)) in answers.iter().zip(&expected) {
            let decided = plan.decision(costs, answer[0] == 1, answer[1], &answer[2..]);
            assert_eq!(&decided, expected, "{take:?} under {plan:?}");
        }
        assert_eq!(answers.len(), 1200);
    }
}
