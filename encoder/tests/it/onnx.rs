//! A BERT as an ONNX file: protocol buffers of the few messages that a graph needs (onnx.proto, IR version 9).
//!
//! Plain, of standard operators (opset 20), for any runtime; or fused, of ONNX Runtime's own operators, which
//! is what its transformer optimizer makes of it: so it is measured at its best.

use super::reference::Reference;

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// The graph of a BERT: `input_ids`, `attention_mask`, `token_type_ids` to `last_hidden_state`.
pub(crate) fn export(reference: &Reference, fused: bool) -> Vec<u8> {
    let mut graph = Graph::default();
    let mut x = embeddings(&mut graph, reference);
    let mask = mask(&mut graph, fused);
    for layer in 0..reference.size("num_hidden_layers") {
        let layer = Layer { reference, name: format!("encoder.layer.{layer}"), fused };
        x = layer.write(&mut graph, &x, &mask);
    }
    graph.node("Identity", &[&x], "last_hidden_state", &[]);
    graph.finish(reference.size("hidden_size"))
}

fn embeddings(graph: &mut Graph, reference: &Reference) -> String {
    for table in ["word", "position", "token_type"] {
        graph.copy(reference, &format!("embeddings.{table}_embeddings.weight"));
    }
    let first = if reference.config["model_type"] == "bert" { 0 } else { reference.size("pad_token_id") as i64 + 1 };
    let (start, one) = (graph.integers("first", &[], &[first]), graph.integers("one", &[], &[1]));
    let shape = graph.node("Shape", &["input_ids"], "shape", &[]);
    let length = graph.node("Gather", &[&shape, &one], "length", &[]);
    let end = graph.node("Add", &[&length, &start], "end", &[]);
    let positions = graph.node("Range", &[&start, &end, &one], "positions", &[]);
    let words = graph.node("Gather", &["embeddings.word_embeddings.weight", "input_ids"], "words", &[]);
    let places = graph.node("Gather", &["embeddings.position_embeddings.weight", &positions], "places", &[]);
    let kinds = graph.node("Gather", &["embeddings.token_type_embeddings.weight", "token_type_ids"], "kinds", &[]);
    let sum = graph.node("Add", &[&words, &places], "words_places", &[]);
    let sum = graph.node("Add", &[&sum, &kinds], "embedded", &[]);
    normal(graph, reference, &sum, "embeddings.LayerNorm")
}

fn mask(graph: &mut Graph, fused: bool) -> String {
    if fused {
        return graph.node("Cast", &["attention_mask"], "mask", &[("to", Attribute::Integer(6))]);
    }
    let axes = graph.integers("axes", &[2], &[1, 2]);
    let (one, least) = (graph.float("one_float", 1.0), graph.float("least", f32::MIN));
    let mask = graph.node("Cast", &["attention_mask"], "mask_float", &[("to", Attribute::Integer(FLOAT as i64))]);
    let mask = graph.node("Sub", &[&one, &mask], "hidden_tokens", &[]);
    let mask = graph.node("Mul", &[&mask, &least], "mask_added", &[]);
    graph.node("Unsqueeze", &[&mask, &axes], "mask", &[])
}

fn normal(graph: &mut Graph, reference: &Reference, x: &str, name: &str) -> String {
    let (scale, shift) =
        (graph.copy(reference, &format!("{name}.weight")), graph.copy(reference, &format!("{name}.bias")));
    graph.node("LayerNormalization", &[x, &scale, &shift], &format!("{name}.out"), &[epsilon(reference)])
}

fn epsilon(reference: &Reference) -> (&'static str, Attribute) {
    ("epsilon", Attribute::Float(reference.config["layer_norm_eps"].as_f64().unwrap() as f32))
}

struct Layer<'a> {
    reference: &'a Reference,
    name: String,
    fused: bool,
}

impl Layer<'_> {
    fn write(&self, graph: &mut Graph, x: &str, mask: &str) -> String {
        let (matrix, bias) = self.projection(graph);
        let context = if self.fused {
            let heads = ("num_heads", Attribute::Integer(self.reference.size("num_attention_heads") as i64));
            graph.node("Attention", &[x, &matrix, &bias, mask], &self.part("context"), &[heads])
        } else {
            self.attention(graph, x, &matrix, &bias, mask)
        };
        let x = self.sum_normal(graph, &context, x, "attention.output");
        let wide = self.product(graph, &x, "intermediate.dense");
        let bias = graph.copy(self.reference, &self.part("intermediate.dense.bias"));
        let wide = if self.fused {
            graph.node("BiasGelu", &[&wide, &bias], &self.part("wide"), &[])
        } else {
            let sum = graph.node("Add", &[&wide, &bias], &self.part("wide.sum"), &[]);
            graph.node("Gelu", &[&sum], &self.part("wide"), &[])
        };
        self.sum_normal(graph, &wide, &x, "output")
    }

    fn part(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// Queries, keys and values by one matrix.
    fn projection(&self, graph: &mut Graph) -> (String, String) {
        let hidden = self.reference.size("hidden_size");
        let (mut matrix, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            matrix.extend(&self.reference.tensors[&self.part(&format!("attention.self.{part}.weight"))].1);
            bias.extend(&self.reference.tensors[&self.part(&format!("attention.self.{part}.bias"))].1);
        }
        let matrix = transposed(&matrix, hidden);
        let matrix = graph.floats(&self.part("projection.weight"), &[hidden, 3 * hidden], &matrix);
        (matrix, graph.floats(&self.part("projection.bias"), &[3 * hidden], &bias))
    }

    fn attention(&self, graph: &mut Graph, x: &str, matrix: &str, bias: &str, mask: &str) -> String {
        let (hidden, heads) = (self.reference.size("hidden_size"), self.reference.size("num_attention_heads"));
        let (width, hidden_size) = ((hidden / heads) as i64, hidden as i64);
        let product = graph.node("MatMul", &[x, matrix], &self.part("projection.product"), &[]);
        let projected = graph.node("Add", &[&product, bias], &self.part("projected"), &[]);
        let sizes = graph.integers(&self.part("split"), &[3], &[hidden_size; 3]);
        let parts = ["query", "key", "value"].map(|part| self.part(part));
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        graph.nodes("Split", &[&projected, &sizes], &names, &[("axis", Attribute::Integer(-1))]);
        let by_head = graph.integers(&self.part("by_head"), &[4], &[0, 0, heads as i64, width]);
        let [query, key, value] = [(0, [0, 2, 1, 3]), (1, [0, 2, 3, 1]), (2, [0, 2, 1, 3])].map(|(part, order)| {
            let split = graph.node("Reshape", &[&parts[part], &by_head], &format!("{}.heads", parts[part]), &[]);
            let order = ("perm", Attribute::Integers(order.to_vec()));
            graph.node("Transpose", &[&split], &format!("{}.by_head", parts[part]), &[order])
        });
        let scores = graph.node("MatMul", &[&query, &key], &self.part("scores"), &[]);
        let scale = graph.float(&self.part("scale"), 1.0 / (width as f32).sqrt());
        let scores = graph.node("Mul", &[&scores, &scale], &self.part("scaled"), &[]);
        let scores = graph.node("Add", &[&scores, mask], &self.part("masked"), &[]);
        let shares = graph.node("Softmax", &[&scores], &self.part("shares"), &[("axis", Attribute::Integer(-1))]);
        let context = graph.node("MatMul", &[&shares, &value], &self.part("by_head_context"), &[]);
        let order = ("perm", Attribute::Integers(vec![0, 2, 1, 3]));
        let context = graph.node("Transpose", &[&context], &self.part("by_token"), &[order]);
        let flat = graph.integers(&self.part("flat"), &[3], &[0, 0, hidden_size]);
        graph.node("Reshape", &[&context, &flat], &self.part("context"), &[])
    }

    fn product(&self, graph: &mut Graph, x: &str, name: &str) -> String {
        let name = self.part(name);
        let (shape, values) = &self.reference.tensors[&format!("{name}.weight")];
        let values = transposed(values, shape[1]);
        let matrix = graph.floats(&format!("{name}.weight"), &[shape[1], shape[0]], &values);
        graph.node("MatMul", &[x, &matrix], &format!("{name}.product"), &[])
    }

    /// normal(x · matrix + bias + residual).
    fn sum_normal(&self, graph: &mut Graph, x: &str, residual: &str, name: &str) -> String {
        let product = self.product(graph, x, &format!("{name}.dense"));
        let bias = graph.copy(self.reference, &self.part(&format!("{name}.dense.bias")));
        let normal_name = self.part(&format!("{name}.LayerNorm"));
        if self.fused {
            let scale = graph.copy(self.reference, &format!("{normal_name}.weight"));
            let shift = graph.copy(self.reference, &format!("{normal_name}.bias"));
            let inputs = [product.as_str(), residual, &scale, &shift, &bias];
            return graph.node(
                "SkipLayerNormalization",
                &inputs,
                &format!("{normal_name}.out"),
                &[epsilon(self.reference)],
            );
        }
        let sum = graph.node("Add", &[&product, &bias], &self.part(&format!("{name}.biased")), &[]);
        let sum = graph.node("Add", &[&sum, residual], &self.part(&format!("{name}.sum")), &[]);
        normal(graph, self.reference, &sum, &normal_name)
    }
}

fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| matrix.chunks(columns).map(move |row| row[column])).collect()
}

enum Attribute {
    Integer(i64),
    Float(f32),
    Integers(Vec<i64>),
}

/// A GraphProto in the making.
#[derive(Default)]
struct Graph {
    bytes: Message,
}

impl Graph {
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> String {
        self.nodes(operator, inputs, &[output], attributes);
        output.to_owned()
    }

    fn nodes(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute)]) {
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.bytes(1, input.as_bytes()));
        outputs.iter().for_each(|output| node.bytes(2, output.as_bytes()));
        node.bytes(4, operator.as_bytes());
        for (name, value) in attributes {
            let mut attribute = Message::default();
            attribute.bytes(1, name.as_bytes());
            match value {
                Attribute::Float(value) => attribute.fixed(2, *value).number(20, 1),
                Attribute::Integer(value) => attribute.number(3, *value as u64).number(20, 2),
                Attribute::Integers(values) => values
                    .iter()
                    .fold(&mut attribute, |attribute, value| attribute.number(8, *value as u64))
                    .number(20, 7),
            };
            node.bytes(5, &attribute.0);
        }
        if ["Attention", "BiasGelu", "SkipLayerNormalization"].contains(&operator) {
            node.bytes(7, b"com.microsoft");
        }
        self.bytes.bytes(1, &node.0);
    }

    fn constant(&mut self, name: &str, kind: u64, shape: &[usize], data: &[u8]) -> String {
        let mut tensor = Message::default();
        for size in shape {
            tensor.number(1, *size as u64);
        }
        tensor.number(2, kind).bytes(8, name.as_bytes());
        tensor.bytes(9, data);
        self.bytes.bytes(5, &tensor.0);
        name.to_owned()
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f64]) -> String {
        let data: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        self.constant(name, FLOAT, shape, &data)
    }

    fn float(&mut self, name: &str, value: f32) -> String {
        self.constant(name, FLOAT, &[], &value.to_le_bytes())
    }

    fn integers(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, INT64, shape, &data)
    }

    fn copy(&mut self, reference: &Reference, name: &str) -> String {
        let (shape, values) = &reference.tensors[name];
        self.floats(name, shape, values)
    }

    fn finish(mut self, hidden: usize) -> Vec<u8> {
        self.bytes.bytes(2, b"bert");
        for input in ["input_ids", "attention_mask", "token_type_ids"] {
            let value = value(input, INT64, &[Err("batch"), Err("sequence")]);
            self.bytes.bytes(11, &value.0);
        }
        let output = value("last_hidden_state", FLOAT, &[Err("batch"), Err("sequence"), Ok(hidden)]);
        self.bytes.bytes(12, &output.0);
        let mut model = Message::default();
        model.number(1, 9).bytes(7, &self.bytes.0);
        for (domain, version) in [("", 20), ("com.microsoft", 1)] {
            let mut operators = Message::default();
            operators.bytes(1, domain.as_bytes());
            operators.number(2, version);
            model.bytes(8, &operators.0);
        }
        model.0
    }
}

/// A ValueInfoProto: sizes by number or by name.
fn value(name: &str, kind: u64, shape: &[Result<usize, &str>]) -> Message {
    let mut sizes = Message::default();
    for size in shape {
        let mut dimension = Message::default();
        match size {
            Ok(size) => {
                dimension.number(1, *size as u64);
            }
            Err(name) => dimension.bytes(2, name.as_bytes()),
        }
        sizes.bytes(1, &dimension.0);
    }
    let (mut tensor, mut class, mut value) = (Message::default(), Message::default(), Message::default());
    tensor.number(1, kind).bytes(2, &sizes.0);
    class.bytes(1, &tensor.0);
    value.bytes(1, name.as_bytes());
    value.bytes(2, &class.0);
    value
}

/// A message of protocol buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn fixed(&mut self, field: u64, value: f32) -> &mut Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}
