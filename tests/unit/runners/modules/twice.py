from warren_runner import task


@task(name="same")
def one():
    pass


@task(name="same")
def two():
    pass
