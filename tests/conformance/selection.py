"""Tests of Dramatiq's suite that are excluded, and those that do not pass; each with its reason.

Made for commit 848b35f, of whose 248 tests 176 remain. The parameters of a test are not distinguished.
"""

from __future__ import annotations

__all__ = ["DEPENDS_ON_NO_BROKER", "DOES_NOT_PASS", "INSIDE_A_PEER"]

DOES_NOT_PASS = {
    "test_rabbitmq_consumers_ignore_unknown_messages_in_ack_and_nack": (
        "consumes a queue that nobody has declared, which the stub's tests want refused, and ours refuses; with the "
        "queue declared it passes"
    ),
}


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


DEPENDS_ON_NO_BROKER = (
    _because(
        "the event loop's thread of asynchronous actors, without a message",
        """
        test_event_loop_thread_start
        test_event_loop_thread_start_timeout
        test_event_loop_thread_run_coroutine
        test_event_loop_thread_run_coroutine_exception
        test_event_loop_thread_run_coroutine_timeout_exception
        test_event_loop_thread_run_coroutine_interrupted
        test_async_middleware_before_worker_boot
        test_async_middleware_after_worker_shutdown
        test_async_to_sync
        test_async_to_sync_with_actual_thread
        test_async_to_sync_no_thread
        """,
    )
    | _because("metrics served over HTTP, without a message", "test_prometheus_middleware_exposes_metrics")
    | _because(
        "raising into plain threads",
        """
        test_raise_thread_exception
        test_raise_thread_exception_on_nonexistent_thread
        test_raise_thread_exception_unsupported_platform
        """,
    )
    | _because(
        "a middleware's own bookkeeping, on threads that are made up",
        """
        test_time_limit_exceeded_worker_messages
        test_time_limit_exceeded_gevent_worker_messages
        test_shutdown_notifications_gevent_worker_shutdown_messages
        """,
    )
    | _because(
        "memory shared between the command's processes",
        """
        test_canteen_add_adds_paths
        test_canteen_add_fails_when_adding_too_many_paths
        test_canteen_try_init_runs_at_most_once
        """,
    )
    | _because(
        "the command refuses its arguments before any broker is used",
        """
        test_cli_fails_to_start_given_an_invalid_broker_name
        test_cli_fails_to_start_given_an_invalid_broker_instance
        test_cli_fails_to_start_given_an_invalid_nested_broker_instance
        test_cli_worker_fork_timeout_invalid_string
        test_cli_worker_fork_timeout_invalid_str
        test_cli_worker_fork_timeout_invalid_negative
        test_cli_worker_fork_timeout_invalid_below_10
        test_cli_worker_fork_timeout_invalid_above_1_800_000
        test_cli_aborts_when_pidfile_contains_garbage
        """,
    )
    | _because(
        "how queue names are spelled",
        """
        test_q_name_returns_canonical_names
        test_dq_name_returns_canonical_delay_names
        test_xq_name_returns_delay_names
        """,
    )
    | _because(
        "how a result's key is spelled, by the base class of backends and on the stub's",
        """
        test_use_namespace_prefix_keys_produces_readable_key
        test_use_namespace_prefix_keys_default_is_legacy_hash
        """,
    )
    | _because("setting a global, without a message", "test_set_encoder_sets_the_global_encoder")
    | _because("a missing attribute of a class", "test_getattr_generic_actor")
    | _because("the order of a worker's own queue items, without a broker", "test_queue_item_order")
)

INSIDE_A_PEER = (
    _because(
        "how RabbitMQ's broker is told of its servers",
        """
        test_rabbitmq_broker_can_be_passed_a_semicolon_separated_list_of_uris
        test_rabbitmq_broker_can_be_passed_a_list_of_uri_for_failover
        test_rabbitmq_broker_raises_an_error_if_given_invalid_parameter_combinations
        test_rabbitmq_broker_can_be_passed_a_list_of_parameters_for_failover
        test_broker_uses_rabbitmq_if_not_set
        """,
    )
    | _because(
        "RabbitMQ's connections and channels, cut or counted; ours to a file cannot be",
        """
        test_rabbitmq_broker_connections_are_lazy
        test_rabbitmq_broker_stops_retrying_declaring_queues_when_max_attempts_reached
        test_rabbitmq_broker_retries_declaring_queues_when_connection_related_errors_occur
        test_rabbitmq_broker_reconnects_after_enqueue_failure
        test_rabbitmq_workers_handle_rabbit_failures_gracefully
        test_rabbitmq_connections_can_be_deleted_multiple_times
        test_rabbitmq_channels_can_be_deleted_multiple_times
        test_rabbitmq_broker_consuming_messages_re_declares_queues_when_declared_queue_disappears
        test_rabbitmq_broker_enqueueing_message_re_declares_queues_when_declared_queue_disappears
        """,
    )
    | _because(
        "which of its client library's log lines RabbitMQ's broker hides",
        """
        test_ignore_scary_logs_filter_ignores_logs
        test_rabbitmq_close_only_registers_ignore_filter_once
        """,
    )
    | _because(
        "how Redis's broker is told of its server, and how it makes its methods",
        """
        test_redis_broker_can_connect_via_url
        test_redis_broker_can_connect_via_client
        test_redis_broker_raises_attribute_error_when_given_an_invalid_attribute
        """,
    )
    | _because(
        "reads Redis's keys or calls its scripts; tests/broker proves the same of our tables",
        """
        test_redis_unacked_messages_can_be_requeued
        test_redis_messages_can_be_dead_lettered
        test_redis_dead_lettered_messages_are_cleaned_up
        test_redis_messages_belonging_to_missing_actors_are_rejected
        test_redis_requeues_unhandled_messages_on_shutdown
        test_redis_requeues_unhandled_delay_messages_on_shutdown
        test_redis_consumer_ack_can_retry_on_connection_error
        test_redis_consumer_nack_can_retry_on_connection_error
        test_redis_join_race_condition
        """,
    )
)
