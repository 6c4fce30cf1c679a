// The echo of uWebSockets' own examples, with a choice of port and compression, and a broadcast.
#include "App.h"

namespace {

struct Session {};

enum Compression { OFF = 0, SHARED = 1, TAKEOVER = 2 };

uWS::CompressOptions compression_options(int compression) {
    switch (compression) {
    case SHARED:
        return uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    case TAKEOVER:
        return uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR | uWS::DEDICATED_DECOMPRESSOR);
    default:
        return uWS::DISABLED;
    }
}

} // namespace

extern "C" void bench_uwebsockets_run(int port, int compression, bool broadcast, void (*announce)(int)) {
    const bool compress = compression != OFF;
    uWS::App app;
    app.ws<Session>("/*", {
        .compression = compression_options(compression),
        .maxPayloadLength = 16 * 1024 * 1024,
        .idleTimeout = 120,
        .maxBackpressure = 64 * 1024 * 1024,
        .open = [broadcast](auto *ws) {
            if (broadcast) {
                ws->subscribe("all");
            }
        },
        .message = [&app, broadcast, compress](auto *ws, std::string_view message, uWS::OpCode opcode) {
            if (broadcast) {
                app.publish("all", message, opcode, compress);
            } else {
                ws->send(message, opcode, compress);
            }
        },
    });
    app.listen("127.0.0.1", port, [announce](auto *socket) {
        announce(socket ? us_socket_local_port(0, (struct us_socket_t *) socket) : -1);
    });
    app.run();
}
