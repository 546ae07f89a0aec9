//! What the operators of a page's content show, and where (ISO 32000-1, 8.4 and 9.4).

use super::font::Font;
use super::layout::Layout;
use super::object::{Dict, Lexer, Object};
use super::store::Store;
use std::collections::HashMap;
use std::rc::Rc;

/// Forms within forms.
const DEPTH_MAX: usize = 8;
/// Operators of a file, and more for each of its bytes.
const OPERATORS_MAX: usize = 1 << 20;
const OPERATORS_A_BYTE: usize = 8;
/// What it costs to look up a font or a form, in operators.
const LOOK_UP: usize = 50;
const OPERANDS_MAX: usize = 64;
const STATES_MAX: usize = 256;
/// In thousandths of the size: a step between letters that stands for a space.
const STEP: f64 = 200.0;

/// [a b c d e f] of a transformation.
type Matrix = [f64; 6];
const SAME: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `a`, then `b`.
fn then(a: Matrix, b: Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

#[derive(Clone)]
struct State {
    page: Matrix,
    font: Rc<Font>,
    size: f64,
    leading: f64,
    /// Between letters, between words, and how wide letters are stretched.
    between: (f64, f64, f64),
}

pub struct Interpreter<'s> {
    store: &'s Store<'s>,
    most: usize,
    layout: Layout,
    /// By number of the object.
    fonts: HashMap<u32, Rc<Font>>,
    plain: Rc<Font>,
    state: State,
    states: Vec<State>,
    line: Matrix,
    text: Matrix,
    left: usize,
}

impl<'s> Interpreter<'s> {
    pub fn new(store: &'s Store<'s>, most: usize) -> Self {
        let plain = Rc::new(Font::plain());
        let font = Rc::clone(&plain);
        let state = State { page: SAME, font, size: 1.0, leading: 0.0, between: (0.0, 0.0, 1.0) };
        let (layout, fonts, states) = (Layout::default(), HashMap::new(), Vec::new());
        let (line, text) = (SAME, SAME);
        let left = OPERATORS_MAX + OPERATORS_A_BYTE * store.len();
        Interpreter { store, most, layout, fonts, plain, state, states, line, text, left }
    }

    pub fn is_full(&self) -> bool {
        self.left == 0 || self.layout.len() >= self.most
    }

    pub fn finish(self) -> String {
        self.layout.finish()
    }

    pub fn page(&mut self, content: &[u8], resources: &Dict) {
        self.state.page = SAME;
        self.states.clear();
        self.layout.page();
        self.run(content, resources, 0);
    }

    fn run(&mut self, content: &[u8], resources: &Dict, depth: usize) {
        let mut lexer = Lexer::new(content, 0);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(object) = lexer.next() {
            let Object::Word(word) = object else {
                if operands.len() < OPERANDS_MAX {
                    operands.push(object);
                }
                continue;
            };
            if self.is_full() {
                return;
            }
            self.left -= 1;
            match word.as_slice() {
                b"ID" => lexer.at += inline_image(&content[lexer.at..]),
                b"Do" => self.form(&operands, resources, depth),
                b"Tf" => self.font(&operands, resources),
                word => self.operator(word, &operands),
            }
            operands.clear();
        }
    }

    fn operator(&mut self, word: &[u8], operands: &[Object]) {
        let n = |at: usize| operands.get(at).and_then(Object::number).unwrap_or(0.0);
        let matrix = || [n(0), n(1), n(2), n(3), n(4), n(5)];
        match word {
            b"q" if self.states.len() < STATES_MAX => self.states.push(self.state.clone()),
            b"Q" => self.state = self.states.pop().unwrap_or_else(|| self.state.clone()),
            b"cm" => self.state.page = then(matrix(), self.state.page),
            b"BT" => self.place(SAME),
            b"Tm" => self.place(matrix()),
            b"Td" => self.down(n(0), n(1)),
            b"TD" => {
                self.state.leading = -n(1);
                self.down(n(0), n(1));
            }
            b"T*" => self.down(0.0, -self.state.leading),
            b"TL" => self.state.leading = n(0),
            b"Tc" => self.state.between.0 = n(0),
            b"Tw" => self.state.between.1 = n(0),
            b"Tz" => self.state.between.2 = n(0) / 100.0,
            b"Tj" => self.show_first(operands),
            b"'" => {
                self.down(0.0, -self.state.leading);
                self.show_first(operands);
            }
            b"\"" => {
                (self.state.between.1, self.state.between.0) = (n(0), n(1));
                self.down(0.0, -self.state.leading);
                self.show_first(&operands[operands.len().min(2)..]);
            }
            b"TJ" => {
                let Some(Object::Array(all)) = operands.first() else { return };
                for object in all {
                    match object {
                        Object::Text(bytes) => self.show(bytes),
                        Object::Number(step) => self.step(*step),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn place(&mut self, matrix: Matrix) {
        (self.line, self.text) = (matrix, matrix);
    }

    fn down(&mut self, x: f64, y: f64) {
        self.place(then([1.0, 0.0, 0.0, 1.0, x, y], self.line));
    }

    fn show_first(&mut self, operands: &[Object]) {
        if let Some(Object::Text(bytes)) = operands.first() {
            self.show(bytes);
        }
    }

    /// A number in the array of `TJ`: a step back, in thousandths.
    fn step(&mut self, step: f64) {
        if step < -STEP {
            self.layout.space();
        }
        self.forward(-step / 1000.0 * self.state.size);
    }

    fn forward(&mut self, by: f64) {
        let by = by * self.state.between.2;
        self.text = then([1.0, 0.0, 0.0, 1.0, by, 0.0], self.text);
    }

    fn show(&mut self, bytes: &[u8]) {
        let font = Rc::clone(&self.state.font);
        let start = then(self.text, self.state.page);
        let size = self.state.size;
        let (letters, words, _) = self.state.between;
        let (mut text, mut width) = (String::new(), 0.0);
        for shown in font.show(bytes) {
            text.push_str(&shown.text);
            width += shown.width / 1000.0 * size + letters;
            width += if shown.is_space { words } else { 0.0 };
        }
        self.forward(width);
        let end = then(self.text, self.state.page);
        // Along the line of writing, whichever way the page is turned.
        let (along, across) = (start[0].hypot(start[1]), start[2].hypot(start[3]));
        let turn = if along > 0.0 { (start[0] / along, start[1] / along) } else { (1.0, 0.0) };
        let project = |m: &Matrix| (m[4] * turn.0 + m[5] * turn.1, m[5] * turn.0 - m[4] * turn.1);
        if !text.is_empty() {
            self.layout.push(&text, project(&start), project(&end).0, size * across);
        }
    }

    fn font(&mut self, operands: &[Object], resources: &Dict) {
        let [Object::Name(name), size] = operands else { return };
        self.left = self.left.saturating_sub(LOOK_UP);
        self.state.size = size.number().unwrap_or(1.0);
        let fonts = self.store.dict(resources.get("Font")).unwrap_or_default();
        let entry = fonts.get(name);
        if let Some(Object::Reference(number)) = entry
            && let Some(font) = self.fonts.get(number)
        {
            self.state.font = Rc::clone(font);
            return;
        }
        let font = match self.store.dict(entry) {
            Some(dict) if self.store.codes.get() > 0 => Rc::new(Font::read(self.store, &dict)),
            _ => Rc::clone(&self.plain),
        };
        if let Some(Object::Reference(number)) = entry {
            self.fonts.insert(*number, Rc::clone(&font));
        }
        self.state.font = font;
    }

    /// A form: content of its own, with its own place.
    fn form(&mut self, operands: &[Object], resources: &Dict, depth: usize) {
        let [Object::Name(name)] = operands else { return };
        self.left = self.left.saturating_sub(LOOK_UP);
        let forms = self.store.dict(resources.get("XObject")).unwrap_or_default();
        let Some(form) = self.store.dict(forms.get(name)) else { return };
        if depth >= DEPTH_MAX || !form.is("Subtype", "Form") {
            return;
        }
        let Some(content) = self.store.stream(forms.get(name)) else { return };
        let own = self.store.dict(form.get("Resources"));
        let (state, text) = (self.state.clone(), (self.line, self.text));
        let n_states = self.states.len();
        if let Some(Object::Array(all)) = self.store.resolve(form.get("Matrix")) {
            let n = |at: usize| all.get(at).and_then(Object::number).unwrap_or(0.0);
            self.state.page = then([n(0), n(1), n(2), n(3), n(4), n(5)], self.state.page);
        }
        self.run(&content, own.as_ref().unwrap_or(resources), depth + 1);
        self.states.truncate(n_states);
        self.state = state;
        (self.line, self.text) = text;
    }
}

/// The length of an inline image's data, up to its `EI`.
fn inline_image(rest: &[u8]) -> usize {
    let blank = super::object::is_blank;
    let ends = |at: &usize| {
        rest[*at..].starts_with(b"EI")
            && (*at == 0 || blank(rest[at - 1]))
            && rest.get(at + 2).is_none_or(|&byte| blank(byte))
    };
    (0..rest.len()).find(ends).map_or(rest.len(), |at| at + 2)
}
