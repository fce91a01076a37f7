"""The flow of a job: functions that change the store and send messages. Actors call them."""
