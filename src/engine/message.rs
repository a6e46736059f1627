//! What the operators of the features stage send to one another.

use std::sync::Arc;

use super::parcel::Addressed;
use super::wire::{self, Bytes, Malformed, Sink, Wire};
use crate::model::{Column, Rows};
use crate::signals::Part;
use crate::sink::PartFile;

/// A message to a worker.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The worker that it goes to.
    pub to: usize,
    pub body: Body,
}

/// The content of a [`Message`]. Phases are numbered alike in all processes.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// To the driver of a process: the graph stands there.
    Begin,
    /// To a worker: phase number so-and-so can be worked on.
    Token(u64),
    /// To all drivers: the result of a task of a round, by phase and task.
    Part(u64, usize, Arc<Part>),
    /// To a writer: a block of rows, by phase and index.
    Rows(u64, usize, Rows),
    /// To all drivers: a file of a table is complete, by phase; worker 0's is told what it holds.
    Written(u64, Option<Box<PartFile>>),
}

impl Addressed for Message {
    fn to(&self) -> usize {
        self.to
    }
}

impl Wire for Message {
    fn put(&self, to: &mut dyn Sink) {
        wire::put_number(self.to as u64, to);
        let mut numbers = |numbers: &[u64]| numbers.iter().for_each(|&n| wire::put_number(n, to));
        match &self.body {
            Body::Begin => numbers(&[0]),
            Body::Token(phase) => numbers(&[1, *phase]),
            Body::Part(phase, task, part) => {
                numbers(&[2, *phase, *task as u64]);
                match &**part {
                    Part::U32(values) => put_values(0, values, to),
                    Part::I64(values) => put_values(1, values, to),
                    Part::F64(values) => put_values(2, values, to),
                }
            }
            Body::Rows(phase, block, rows) => {
                numbers(&[3, *phase, *block as u64]);
                wire::put_array(&rows.nodes, to);
                wire::put_number(rows.columns.len() as u64, to);
                rows.columns.iter().for_each(|column| put_column(column, to));
            }
            Body::Written(phase, file) => {
                numbers(&[4, *phase]);
                wire::put_record(file, to);
            }
        }
    }

    fn get(from: &mut Bytes<'_>) -> Result<Message, Malformed> {
        let to = wire::get_index(from)?;
        let body = match wire::get_number(from)? {
            0 => Body::Begin,
            1 => Body::Token(wire::get_number(from)?),
            2 => {
                let (phase, task) = (wire::get_number(from)?, wire::get_index(from)?);
                let part = match wire::get_number(from)? {
                    0 => Part::U32(wire::get_array(from)?),
                    1 => Part::I64(wire::get_array(from)?),
                    2 => Part::F64(wire::get_array(from)?),
                    _ => return Err(Malformed("it is no part")),
                };
                Body::Part(phase, task, Arc::new(part))
            }
            3 => {
                let (phase, block) = (wire::get_number(from)?, wire::get_index(from)?);
                let nodes: Vec<u32> = wire::get_array(from)?;
                let mut columns = Vec::new();
                for _ in 0..wire::get_index(from)? {
                    columns.push(get_column(nodes.len(), from)?);
                }
                Body::Rows(phase, block, Rows { nodes, columns })
            }
            4 => Body::Written(wire::get_number(from)?, wire::get_record(from)?),
            _ => return Err(Malformed("it is no message")),
        };
        Ok(Message { to, body })
    }
}

fn put_values<T: bytemuck::NoUninit>(kind: u64, values: &[T], to: &mut dyn Sink) {
    wire::put_number(kind, to);
    wire::put_array(values, to);
}

fn put_column(column: &Column, to: &mut dyn Sink) {
    match column {
        Column::Int64(values) => {
            let plain: Vec<i64> = values.iter().map(|value| value.unwrap_or_default()).collect();
            let nulls: Vec<u8> = values.iter().map(|value| u8::from(value.is_none())).collect();
            put_values(0, &plain, to);
            wire::put_array(&nulls, to);
        }
        Column::Float32(values) => put_values(1, values, to),
        Column::Float64(values) => put_values(2, values, to),
        Column::NodeList { offsets, nodes } => {
            put_values(3, offsets, to);
            wire::put_array(nodes, to);
        }
        Column::Float32List { offsets, values } => {
            put_values(4, offsets, to);
            wire::put_array(values, to);
        }
        Column::Int64List { offsets, values } => {
            put_values(5, offsets, to);
            wire::put_array(values, to);
        }
    }
}

/// A column of `rows` rows.
fn get_column(rows: usize, from: &mut Bytes<'_>) -> Result<Column, Malformed> {
    let lists = |offsets: &[u32], values: usize| {
        wire::check_offsets(offsets, values)?;
        fits(offsets.len(), rows + 1)
    };
    Ok(match wire::get_number(from)? {
        0 => {
            let (plain, nulls) = (wire::get_array::<i64>(from)?, wire::get_array::<u8>(from)?);
            fits(plain.len(), rows)?;
            fits(nulls.len(), rows)?;
            let value = |(value, null): (i64, u8)| (null == 0).then_some(value);
            Column::Int64(plain.into_iter().zip(nulls).map(value).collect())
        }
        1 => {
            let values = wire::get_array(from)?;
            fits(values.len(), rows)?;
            Column::Float32(values)
        }
        2 => {
            let values = wire::get_array(from)?;
            fits(values.len(), rows)?;
            Column::Float64(values)
        }
        3 => {
            let (offsets, nodes) = (wire::get_array(from)?, wire::get_array(from)?);
            lists(&offsets, nodes.len())?;
            Column::NodeList { offsets, nodes }
        }
        4 => {
            let (offsets, values) = (wire::get_array(from)?, wire::get_array(from)?);
            lists(&offsets, values.len())?;
            Column::Float32List { offsets, values }
        }
        5 => {
            let (offsets, values) = (wire::get_array(from)?, wire::get_array(from)?);
            lists(&offsets, values.len())?;
            Column::Int64List { offsets, values }
        }
        _ => return Err(Malformed("it is no column")),
    })
}

fn fits(length: usize, wanted: usize) -> Result<(), Malformed> {
    if length == wanted { Ok(()) } else { Err(Malformed("a column has other rows")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_back_and_every_cut_is_an_error() {
        let rows = Rows {
            nodes: vec![4, 9],
            columns: vec![
                Column::Int64(vec![Some(-3), None]),
                Column::Float32(vec![0.5, f32::INFINITY]),
                Column::Float64(vec![0.1, -0.0]),
                Column::NodeList { offsets: vec![0, 1, 3], nodes: vec![7, 8, 9] },
                Column::Float32List { offsets: vec![0, 0, 1], values: vec![2.5] },
                Column::Int64List { offsets: vec![0, 2, 2], values: vec![1, 2] },
            ],
        };
        let bodies = [
            Body::Begin,
            Body::Token(7),
            Body::Part(1, 2, Arc::new(Part::U32(vec![1, 2, 3]))),
            Body::Part(1, 2, Arc::new(Part::I64(vec![-1]))),
            Body::Part(1, 2, Arc::new(Part::F64(vec![0.1]))),
            Body::Rows(3, 4, rows),
            Body::Written(5, None),
        ];
        for body in bodies {
            let message = Message { to: 6, body };
            let mut bytes = Vec::new();
            message.put(&mut bytes);
            assert_eq!(bytes.len(), message.wire_bytes());
            let mut from = Bytes(&bytes);
            let back = Message::get(&mut from).unwrap();
            from.end().unwrap();
            assert_eq!(format!("{back:?}"), format!("{message:?}"));
            for end in (0..bytes.len()).step_by(8) {
                assert!(Message::get(&mut Bytes(&bytes[..end])).is_err(), "{message:?} at {end}");
            }
        }
    }
}
