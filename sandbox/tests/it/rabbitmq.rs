use nsl_sandbox::{RabbitMq, Vhost};

#[test]
fn virtual_hosts_are_apart_and_start_empty() {
    let one = Vhost::fresh().unwrap();
    let two = Vhost::fresh().unwrap();
    assert_ne!(one.name(), two.name());
    assert_eq!(one.queues().unwrap(), []);
    assert_eq!(two.cut_connections().unwrap(), 0);
}

#[test]
fn a_node_comes_back_after_kill_and_stop_with_its_virtual_hosts() {
    let mut server = RabbitMq::start().unwrap();
    let vhost = server.vhost().unwrap();
    server.kill().unwrap();
    assert!(vhost.queues().is_err());
    server.start_again().unwrap();
    assert_eq!(vhost.queues().unwrap(), []);
    server.stop().unwrap();
}
