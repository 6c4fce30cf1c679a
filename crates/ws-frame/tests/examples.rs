//! The example does what its first lines say.

use std::process::Command;

#[test]
fn decode_encode() {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "ws-frame", "--example", "decode_encode"]);
    command.args("81 85 37 fa 21 3d 7f 9f 4d 51 58".split(' '));
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Text, final: true, \"Hello\"\n81 05 48 65 6c 6c 6f\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
