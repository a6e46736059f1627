//! Plots as SVG text.

use plotters::prelude::*;

use super::format::count;
use crate::model::{Error, Result};

/// Size of a plot in pixels.
const SIZE: (u32, u32) = (800, 520);
/// Two colours that stay apart in every kind of colour vision and in print (Okabe and Ito).
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

/// The degrees of one side.
pub(super) struct Curve<'a> {
    /// Its name in the legend.
    pub(super) name: &'a str,
    /// Degree of every node, ascending, at least 1 each.
    pub(super) degrees: &'a [u32],
}

/// The share of nodes of at least each degree, both axes logarithmic, as SVG. A power law is a
/// straight line there.
///
/// # Errors
/// When there is no node, or the drawing library fails.
pub(super) fn degree_plot(title: &str, curves: &[Curve<'_>]) -> Result<String> {
    let most = curves.iter().filter_map(|curve| curve.degrees.last()).max();
    let nodes = curves.iter().map(|curve| curve.degrees.len()).max();
    let (Some(&most), Some(nodes)) = (most, nodes) else {
        return Err(Error::input("there is no edge to plot").remedy("leave out --plot"));
    };
    let mut svg = String::new();
    draw(title, curves, f64::from(most.max(10)), nodes.max(10) as f64, &mut svg)
        .map_err(|error| Error::engine(format!("the plot cannot be drawn: {error}")))?;
    Ok(svg)
}

fn draw(
    title: &str,
    curves: &[Curve<'_>],
    most: f64,
    nodes: f64,
    svg: &mut String,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(shortened(title), ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((1.0..most * 1.2).log_scale(), (0.8 / nodes..1.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(238, 238, 238))
        .bold_line_style(RGBColor(218, 218, 218))
        .x_desc("degree (edges of a node)")
        .y_desc("share of nodes with at least that degree")
        .x_label_formatter(&|degree| count(degree.round() as u64))
        .y_label_formatter(&|share| share_label(*share))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let line = PathElement::new(points(curve.degrees), colour.stroke_width(2));
        let label = format!("{} ({})", curve.name, count(curve.degrees.len() as u64));
        chart
            .draw_series([line])?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE)
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    Ok(())
}

/// Each distinct degree with the share of nodes of at least that degree.
fn points(degrees: &[u32]) -> Vec<(f64, f64)> {
    let total = degrees.len();
    let mut below = 0;
    let runs = degrees.chunk_by(|a, b| a == b);
    runs.filter_map(|run| {
        let share = (total - below) as f64 / total as f64;
        below += run.len();
        run.first().map(|&degree| (f64::from(degree), share))
    })
    .collect()
}

/// `10%`, `0.1%`: as many digits as the share needs.
fn share_label(share: f64) -> String {
    let percent = share * 100.0;
    let text = format!("{percent:.6}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A title that fits into the plot; the end of a path says more than its beginning.
fn shortened(title: &str) -> String {
    let length = title.chars().count();
    match length {
        0..=80 => title.to_owned(),
        _ => format!("...{}", title.chars().skip(length - 77).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_share_of_nodes_of_at_least_the_degree() {
        assert_eq!(points(&[1, 1, 2, 5]), [(1.0, 1.0), (2.0, 0.5), (5.0, 0.25)]);
    }

    #[test]
    fn labels_of_shares_are_short() {
        assert_eq!([1.0, 0.1, 0.001, 0.00001].map(share_label), ["100%", "10%", "0.1%", "0.001%"]);
    }

    #[test]
    fn nothing_to_plot_is_an_error() {
        assert!(degree_plot("x", &[Curve { name: "a", degrees: &[] }]).is_err());
    }
}
