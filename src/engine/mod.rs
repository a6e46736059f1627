//! The dataflow that ties sources, graph, signals and sinks together.
