// The HTTP and the WebSocket client of the JDK: java Jdk.java WS-URL PAGE-URL...
//
// Prints one line a check: its name, a tab, and `ok` or what was seen.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public class Jdk {
    static final Duration TIMEOUT = Duration.ofSeconds(20);

    // It prefers HTTP/2, so each request over plain TCP offers h2c.
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    static String[] arguments;

    interface Check {
        void run() throws Exception;
    }

    /** What a connection receives, in words. */
    static class Events implements WebSocket.Listener {
        final BlockingQueue<String> queue = new LinkedBlockingQueue<>();
        final StringBuilder text = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                queue.add("text " + text);
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            byte[] bytes = new byte[payload.remaining()];
            payload.get(bytes);
            queue.add("pong " + new String(bytes));
            socket.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            queue.add("close " + code + " " + reason);
            return null;
        }

        @Override
        public void onError(WebSocket socket, Throwable error) {
            queue.add("error " + error);
        }

        void expect(String wanted) throws Exception {
            String seen = queue.poll(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
            if (!wanted.equals(seen)) {
                throw new Exception(shortened(seen) + " instead of " + shortened(wanted));
            }
        }
    }

    static String shortened(String words) {
        return words != null && words.length() > 100 ? words.length() + " characters" : words;
    }

    static WebSocket open(Events events) throws Exception {
        return CLIENT.newWebSocketBuilder().connectTimeout(TIMEOUT).buildAsync(URI.create(arguments[0]), events).get();
    }

    static void pages(String method, int status, String allow) throws Exception {
        for (int index = 1; index < arguments.length; index++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[index]))
                .timeout(TIMEOUT)
                .method(method, method.equals("POST") ? BodyPublishers.ofString("x") : BodyPublishers.noBody())
                .build();
            HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
            String seen = response.statusCode() + " " + response.headers().firstValue("allow").orElse("");
            boolean hasBody = !response.body().isEmpty();
            if (response.statusCode() != status || !seen.endsWith(allow) || hasBody == method.equals("HEAD")) {
                throw new Exception(arguments[index] + ": " + seen + ", body: " + hasBody);
            }
        }
    }

    static void check(String name, Check check) {
        String seen = "ok";
        try {
            check.run();
        } catch (Exception error) {
            seen = error.toString().replaceAll("\\s+", " ");
        }
        System.out.println(name + "\t" + seen);
    }

    public static void main(String[] args) {
        arguments = args;
        check("GET with its offer of h2c", () -> pages("GET", 200, ""));
        check("HEAD", () -> pages("HEAD", 200, ""));
        check("POST: 405", () -> pages("POST", 405, "GET, HEAD"));
        check("WebSocket: text", () -> {
            Events events = new Events();
            WebSocket socket = open(events);
            socket.sendText("Grüße, 世界 👋", true).get();
            events.expect("text Grüße, 世界 👋");
            socket.abort();
        });
        check("WebSocket: 400,000 characters in 50 fragments", () -> {
            Events events = new Events();
            WebSocket socket = open(events);
            String part = "12345678".repeat(1000);
            for (int index = 1; index <= 50; index++) {
                socket.sendText(part, index == 50).get();
            }
            events.expect("text " + part.repeat(50));
            socket.abort();
        });
        check("WebSocket: ping", () -> {
            Events events = new Events();
            WebSocket socket = open(events);
            socket.sendPing(ByteBuffer.wrap("payload".getBytes())).get();
            events.expect("pong payload");
            socket.abort();
        });
        check("WebSocket: close with 4001", () -> {
            Events events = new Events();
            WebSocket socket = open(events);
            socket.sendClose(4001, "over").get();
            events.expect("close 4001 over");
        });
        // Its threads would keep the program for a while.
        System.exit(0);
    }
}
