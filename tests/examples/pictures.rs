//! Writes the pictures of the documentation: `make pictures`.

use hilrig_tests::docs::pictures::{PICTURES, Picture};
use hilrig_tests::docs::root;

fn main() -> std::io::Result<()> {
    let root = root();
    for Picture { path, draw } in PICTURES {
        std::fs::write(root.join(path), draw(&root))?;
    }
    Ok(())
}
