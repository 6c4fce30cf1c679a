//! The files of a crate import each other in one direction: no ring of imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Item, ItemMod, Path as CodePath, UseTree,
    visit::{self, Visit},
};

/// The path of a module or an item from the crate's root.
type Names = Vec<String>;

/// A crate as its sources tell it.
#[derive(Debug, Default)]
struct Crate {
    /// The file of each module.
    files: BTreeMap<Names, PathBuf>,
    /// The names that a module defines itself.
    defined: BTreeSet<Names>,
    /// The names that a module imports, and from where.
    imported: BTreeMap<Names, Names>,
    /// The modules that a module imports everything from.
    globs: Vec<(Names, Names)>,
    /// The paths that a module mentions, and the lines.
    mentioned: Vec<(Names, Names, usize)>,
}

/// One file imports another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    from: PathBuf,
    to: PathBuf,
    line: usize,
}

/// The rings of imports among the files of the crate with this root, such as `src/lib.rs`: one fault for each ring.
pub(crate) fn cycle_faults(root: &Path) -> Vec<String> {
    rings(&imports(root))
        .into_iter()
        .map(|ring| {
            let steps = ring.iter().map(|Import { from, to, line }| {
                format!("\n    {}:{line} imports {}", from.display(), to.display())
            });
            format!("files import each other{}", steps.collect::<String>())
        })
        .collect()
}

/// What the files of the crate with this root import of each other.
pub(crate) fn imports(root: &Path) -> Vec<Import> {
    let mut all = Crate::default();
    read_module(&mut all, &vec![], root, root.parent().unwrap_or(Path::new("")));
    let mut imports = Vec::new();
    for (module, path, line) in &all.mentioned {
        let (Some(from), Some(to)) = (file_of(&all, module), resolve(&all, path, 0)) else { continue };
        if from != to {
            imports.push(Import { from: from.clone(), to: to.clone(), line: *line });
        }
    }
    imports.sort();
    imports.dedup_by(|one, other| (&one.from, &one.to) == (&other.from, &other.to));
    imports
}

/// Reads a module's file and those of the modules in it, whose files are in `folder`.
fn read_module(all: &mut Crate, module: &Names, file: &Path, folder: &Path) {
    let Ok(text) = fs::read_to_string(file) else { return };
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    all.files.insert(module.clone(), file.to_owned());
    read_items(all, module, &parsed.items, file, folder);
}

fn read_items(all: &mut Crate, module: &Names, items: &[Item], file: &Path, folder: &Path) {
    for item in items {
        if is_for_tests(attributes(item)) {
            continue;
        }
        match item {
            Item::Mod(item) => {
                let name = join(module, &item.ident.to_string());
                all.defined.insert(name.clone());
                if let Some((_, items)) = &item.content {
                    all.files.insert(name.clone(), file.to_owned());
                    read_items(all, &name, items, file, folder);
                } else if let Some((file, folder)) = file_of_mod(item, file, folder) {
                    read_module(all, &name, &file, &folder);
                }
            }
            Item::Use(item) => {
                let line = item.use_token.span.start().line;
                read_use(all, module, &item.tree, &mut vec![], line);
            }
            item => {
                if let Some(name) = name_of(item) {
                    all.defined.insert(join(module, &name));
                }
                Mentions { all, module }.visit_item(item);
            }
        }
    }
}

/// The file of `mod name;`, and the folder of the modules in it.
fn file_of_mod(item: &ItemMod, parent: &Path, folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let name = item.ident.to_string();
    let path = item.attrs.iter().find(|attribute| attribute.path().is_ident("path")).and_then(|attribute| {
        let syn::Meta::NameValue(meta) = &attribute.meta else { return None };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = &meta.value else { return None };
        Some(parent.parent()?.join(path.value()))
    });
    let inside = folder.join(&name);
    let candidates = path.into_iter().chain([folder.join(format!("{name}.rs")), inside.join("mod.rs")]);
    candidates.into_iter().find(|file| file.is_file()).map(|file| (file, inside))
}

fn read_use(all: &mut Crate, module: &Names, tree: &UseTree, prefix: &mut Names, line: usize) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            read_use(all, module, &path.tree, prefix, line);
            prefix.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| read_use(all, module, tree, prefix, line));
        }
        UseTree::Glob(_) => {
            if let Some(path) = absolute(all, module, prefix) {
                all.globs.push((module.clone(), path.clone()));
                all.mentioned.push((module.clone(), path, line));
            }
        }
        UseTree::Name(_) | UseTree::Rename(_) => {
            let (name, alias) = match tree {
                UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
                UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
                _ => return,
            };
            let (path, alias) = match name.as_str() {
                "self" => (prefix.clone(), prefix.last().cloned().unwrap_or_default()),
                _ => (join(prefix, &name), alias),
            };
            if let Some(path) = absolute(all, module, &path) {
                all.imported.insert(join(module, &alias), path.clone());
                // A root that re-exports what its modules define imports nothing.
                if !module.is_empty() {
                    all.mentioned.push((module.clone(), path, line));
                }
            }
        }
    }
}

/// The path from the root; `None` for one of another crate.
fn absolute(all: &Crate, module: &Names, path: &[String]) -> Option<Names> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = rest.get(1..)?;
        }
        "self" => rest = rest.get(1..)?,
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                base.pop()?;
                rest = rest.get(1..)?;
            }
        }
        // A module of the crate that is named without `self::`, once it is known.
        first => {
            let child = join(&base, first);
            if !all.files.contains_key(&child) && !all.defined.contains(&child) {
                return None;
            }
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The file that defines the item with this path, through re-exports.
fn resolve<'a>(all: &'a Crate, path: &Names, depth: usize) -> Option<&'a PathBuf> {
    if depth > 20 {
        return None;
    }
    // The longest part of the path that means something: what follows is inside of a type.
    for len in (0..=path.len()).rev() {
        let part = path[..len].to_vec();
        if let Some(target) = all.imported.get(&part) {
            let target = target.iter().chain(&path[len..]).cloned().collect();
            return resolve(all, &target, depth + 1);
        }
        if all.files.contains_key(&part) && len == path.len() {
            return all.files.get(&part);
        }
        if all.defined.contains(&part) && !all.files.contains_key(&part) {
            return file_of(all, &part[..len - 1].to_vec());
        }
        if all.files.contains_key(&part) {
            let globs = all.globs.iter().filter(|(module, _)| *module == part);
            let found = globs
                .filter_map(|(_, from)| {
                    let target: Names = from.iter().chain(&path[len..]).cloned().collect();
                    let is_there = all.defined.contains(&target) || all.imported.contains_key(&target);
                    is_there.then(|| resolve(all, &target, depth + 1)).flatten()
                })
                .next();
            // A name that nothing here defines, such as one that a macro makes, is its module's.
            return found.or_else(|| all.files.get(&part));
        }
    }
    None
}

fn file_of<'a>(all: &'a Crate, module: &Names) -> Option<&'a PathBuf> {
    all.files.get(module)
}

/// Notes the paths in code that begin at the crate's root or at a module.
struct Mentions<'a> {
    all: &'a mut Crate,
    module: &'a Names,
}

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_path(&mut self, path: &'ast CodePath) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.first().is_some_and(|first| ["crate", "super", "self"].contains(&first.as_str()))
            && names.len() > 1
            && let Some(absolute) = absolute(self.all, self.module, &names)
        {
            let line = path.segments[0].ident.span().start().line;
            self.all.mentioned.push((self.module.clone(), absolute, line));
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        read_use(self.all, self.module, &item.tree, &mut vec![], item.use_token.span.start().line);
    }
}

/// One ring for each group of files that all reach each other: the shortest through its first file.
fn rings(imports: &[Import]) -> Vec<Vec<Import>> {
    let files: BTreeSet<&PathBuf> = imports.iter().flat_map(|import| [&import.from, &import.to]).collect();
    let (mut rings, mut seen) = (Vec::new(), BTreeSet::new());
    for file in files {
        if seen.contains(file) {
            continue;
        }
        if let Some(ring) = shortest_ring(imports, file) {
            let reached = reachable(imports, file);
            seen.extend(reached.iter().filter(|other| reachable(imports, other).contains(file)).copied());
            rings.push(ring);
        }
    }
    rings
}

fn reachable<'a>(imports: &'a [Import], from: &Path) -> BTreeSet<&'a PathBuf> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = next.pop() {
        for import in imports.iter().filter(|import| import.from == file) {
            if reached.insert(&import.to) {
                next.push(import.to.clone());
            }
        }
    }
    reached
}

fn shortest_ring(imports: &[Import], file: &PathBuf) -> Option<Vec<Import>> {
    let mut ways: Vec<Vec<Import>> =
        imports.iter().filter(|import| import.from == *file).map(|import| vec![import.clone()]).collect();
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = &way.last()?.to;
            if end == file {
                return Some(way);
            }
            if seen.insert(end.clone()) {
                let steps = imports.iter().filter(|import| import.from == *end);
                longer.extend(steps.map(|step| way.iter().cloned().chain([step.clone()]).collect()));
            }
        }
        ways = longer;
    }
    None
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test =
            |list: &syn::MetaList| list.tokens.to_string().split([' ', '(', ')', ',']).any(|it| it == "test");
        attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test)
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn join(module: &[String], name: &str) -> Names {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

#[test]
fn rings_of_imports_are_found() {
    /// Files of a crate, and the rings in them.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a [&'a str]]);
    let rows: &[Row<'_>] = &[
        (
            "one way",
            &[
                ("lib.rs", "mod a; mod b; pub use a::A;"),
                ("a.rs", "pub struct A;"),
                ("b.rs", "use crate::A;"),
            ],
            &[],
        ),
        (
            "both ways",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::B; struct A;"),
                ("b.rs", "use super::a::A; struct B;"),
            ],
            &[&["a.rs", "b.rs"]],
        ),
        (
            "through the root's re-exports, and a ring of three",
            &[
                ("lib.rs", "mod a; mod b; mod c; pub use {a::A, b::B, c::C};"),
                ("a.rs", "use crate::B; pub struct A;"),
                ("b.rs", "pub struct B(crate::C);"),
                ("c.rs", "pub struct C; fn f() { crate::a::A; }"),
            ],
            &[&["a.rs", "b.rs", "c.rs"]],
        ),
        (
            "what only tests import",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
            ],
            &[],
        ),
        (
            "a child and its parent",
            &[
                ("lib.rs", "mod a;"),
                ("a.rs", "mod b; use b::B; pub struct A;"),
                ("a/b.rs", "use super::A; pub struct B;"),
            ],
            &[&["a.rs", "a/b.rs"]],
        ),
        (
            "a parent that only declares",
            &[
                ("lib.rs", "mod a;"),
                ("a.rs", "pub mod b; pub mod c;"),
                ("a/b.rs", "use crate::a::c::C;"),
                ("a/c.rs", "pub struct C;"),
            ],
            &[],
        ),
        (
            "everything of a module",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::*; pub struct A;"),
                ("b.rs", "use crate::a::A;"),
            ],
            &[&["a.rs", "b.rs"]],
        ),
        (
            "modules under other names, and names of other crates",
            &[
                ("lib.rs", "#[path = \"other.rs\"] mod a; mod b; use std::mem;"),
                ("other.rs", "use crate::b::{self, f as g}; pub const A: u8 = 0;"),
                ("b.rs", "pub fn f() { std::mem::drop(crate::a::A); }"),
            ],
            &[&["b.rs", "other.rs"]],
        ),
    ];
    for (number, (name, files, expect)) in rows.iter().enumerate() {
        let folder = std::env::temp_dir().join(format!("tidy-imports-{}-{number}", std::process::id()));
        for (file, text) in *files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let found = rings(&imports(&folder.join("lib.rs")));
        let found: Vec<BTreeSet<String>> = found
            .iter()
            .map(|ring| {
                let names = ring.iter().map(|import| import.from.strip_prefix(&folder).unwrap());
                names.map(|name| name.display().to_string()).collect()
            })
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        let expect: Vec<BTreeSet<String>> =
            expect.iter().map(|ring| ring.iter().map(|file| (*file).to_owned()).collect()).collect();
        assert_eq!(found, expect, "{name}");
    }
}
