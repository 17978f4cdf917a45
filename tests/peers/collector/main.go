// The OpenTelemetry collector's own receiver of OTLP over HTTP, and what it took as JSON, one batch in a line.
//
//	collectorpeer ADDRESS:PORT
//
// This is a judge for tests, and nothing else: it tells what arrived on its standard output, until SIGTERM.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: %s ADDRESS:PORT", os.Args[0]))
	}
	ctx := context.Background()
	traces, err := start(ctx, os.Args[1])
	if err != nil {
		fail(err)
	}
	fmt.Println("ready")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	if err := traces.Shutdown(ctx); err != nil {
		fail(err)
	}
}

func start(ctx context.Context, endpoint string) (receiver.Traces, error) {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	written := confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"http": map[string]any{"endpoint": endpoint}},
	})
	if err := written.Unmarshal(config); err != nil {
		return nil, err
	}
	told, err := consumer.NewTraces(tell)
	if err != nil {
		return nil, err
	}
	settings := receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
		BuildInfo:         component.NewDefaultBuildInfo(),
	}
	traces, err := factory.CreateTraces(ctx, settings, config, told)
	if err != nil {
		return nil, err
	}
	return traces, traces.Start(ctx, componenttest.NewNopHost())
}

func tell(_ context.Context, traces ptrace.Traces) error {
	text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err == nil {
		_, err = fmt.Printf("%s\n", text)
	}
	return err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "collectorpeer:", err)
	os.Exit(1)
}
