//! What the rates of a disk and of a network are of, in English and Chinese.

use super::{Sentence, sentence};
use crate::{Comparison, metric};

/// What a rate of the disk and of the network is of, where one was measured.
pub(super) fn sentences(comparison: &Comparison) -> Vec<Sentence> {
    let is_measured = |metric| {
        comparison
            .find(metric)
            .is_some_and(|row| row.cells.iter().any(|cell| cell.measured().is_some()))
    };
    let disk = is_measured(metric::IO_DISK).then(|| {
        sentence(
            "The rate of a disk: a new file is written until the disk has it (fsync), and read again, \
             mostly from the page cache; twice its size by both times together, by the clock inside.",
            "磁盘速率：写一个新文件直到数据落盘（fsync），再读回来（大多来自页缓存）；用文件大小的两倍除以\
             两段时间之和，由沙箱内的时钟计时。",
        )
    });
    let network = is_measured(metric::IO_NETWORK).then(|| {
        sentence(
            "The rate of a network: zeros over one TCP connection, in one direction, from inside to \
             the host; from the first bytes that the host reads to the last, by the host's clock. A \
             process sends over the loop-back link, all others over a link of their own.",
            "网络速率：通过一条 TCP 连接，单向从沙箱内向宿主机发送零字节；从宿主机读到第一批字节到读完最后一批，\
             由宿主机的时钟计时。普通进程走回环接口，其他沙箱走各自的链路。",
        )
    });
    disk.into_iter().chain(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Series, Unit, example};

    #[test]
    fn a_rate_is_explained_where_it_was_measured() {
        let mut records = example::records();
        let all = |records: &_| {
            let sentences = sentences(&Comparison::of(records));
            assert!(sentences.iter().all(|it| it.zh.ends_with('。')));
            sentences.into_iter().map(|it| it.en).collect::<String>()
        };
        assert_eq!(all(&records), "");
        let rate = |metric: &str| Series {
            metric: metric.into(),
            unit: Unit::BytesPerSecond,
            ..example::records().series[0].clone()
        };
        records.series.push(rate(metric::IO_NETWORK));
        let text = all(&records);
        assert!(text.contains("from inside to the host") && !text.contains("of a disk"), "{text}");
        records.series.push(rate(metric::IO_DISK));
        assert!(all(&records).contains("of a disk"));
    }
}
